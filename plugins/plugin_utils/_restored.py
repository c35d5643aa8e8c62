# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on the secrets that a failed run restored."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

#: the results of the tasks that restore the secrets of a host, and the key of the restored files
REGISTERED = {
    "swf_testbed_index_restored": "paths",
    "swf_testbed_database_restored": "paths",
    "swf_testbed_broker_restored": "paths",
    "swf_testbed_redis_restored": "paths",
    "swf_testbed_monitor_restored": "paths",
    "swf_testbed_restored": "secrets",
}
ROLE = "swf_testbed_database_role_restored"
#: the services and programs of a host that fail with the former secrets, each with its cause
FAILED = "swf_testbed_not_restored"


def secrets(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of the restored secrets.

    :param hosts: the variables of each.
    """
    found: set[str] = set()
    role = False
    for variables in hosts:
        for name, key in REGISTERED.items():
            found.update(map(os.path.basename, (variables.get(name) or {}).get(key) or ()))
        role = role or bool((variables.get(ROLE) or {}).get("changes"))
    return sorted(found) + ["the password of the database role"] * role


def message(failure: str, hosts: Mapping[str, Mapping[str, Any]], present: Iterable[str]) -> str:
    """The failure of a host, and the active secrets of all.

    :param hosts: {host of the play: variables}.
    :param present: those that can be reached.
    """
    names, reached = secrets(hosts.values()), set(present)
    failed = {host: found[FAILED] for host, found in hosts.items() if found.get(FAILED)}
    lines = [failure, ""]
    lines.append(
        "The secrets that this run changed were restored: %s." % ", ".join(names)
        if names
        else "No secret had been replaced yet."
    )
    lines.append(
        "Evidence: their programs were restarted with the former secrets, and run, on %s."
        % (", ".join(sorted(reached - set(failed))) or "no host")
    )
    lines += [
        "NOT ON %s, WHERE THE PROGRAMS FAIL WITH THE FORMER SECRETS, TOO: %s"
        % (host, "; ".join(causes))
        for host, causes in failed.items()
    ]
    gone = sorted(set(hosts) - reached)
    if gone:
        lines.append(
            "Not on %s, which cannot be reached; the former secrets are saved there for the next run."
            % ", ".join(gone)
        )
    lines.append(
        "Fix: remove the cause and run the same command again, because the inventory has the new "
        "secrets; or set the former ones there."
    )
    return "\n".join(lines)
