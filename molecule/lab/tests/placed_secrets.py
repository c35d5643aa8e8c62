# SPDX-License-Identifier: GPL-3.0-or-later
"""The secrets that the hosts of a lab have, and what a run changed."""

from __future__ import annotations

import re

FOLDERS = (
    "/etc/swf-testbed/secrets /etc/swf-testbed/pip /etc/swf-broker/secrets /etc/swf-index/secrets"
)
VERIFIER = "runuser -u postgres -- psql -qAtc \"SELECT rolpassword FROM pg_authid WHERE rolname = 'swf_testbed'\""


def hosts(lab):
    return [lab.services, *lab.agents]


def in_place(lab):
    """{host: digests of its secrets}, with what PostgreSQL keeps of the password."""
    # not every host has every folder
    command = "find %s -type f -exec sha256sum {} + 2>/dev/null | sort" % FOLDERS
    found = {name: lab.host(name).run(command).stdout for name in hosts(lab)}
    found["database"] = lab.host(lab.services).check_output("cd / && " + VERIFIER)
    return found


def changed(output):
    return {
        name: (int(count), int(failed))
        for name, count, failed in re.findall(
            r"^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=(\d+)", output, re.MULTILINE
        )
    }
