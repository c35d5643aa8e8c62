# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime user of an instance: it must have no access to another instance."""

from __future__ import annotations

import glob
import os
import re

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)

GROUPS = "/etc/group"
OURS = "# Written by bnlnpps.swf_testbed"


def local_groups(user: str, path: str = GROUPS) -> list[str]:
    """Names of the host's groups that have a user as a member."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            lines = [line.rstrip("\n").split(":") for line in stream]
    except OSError:
        return []
    return [line[0] for line in lines if len(line) == 4 and user in line[3].split(",")]


def shared_user_problem(user: str, unit_file: str) -> Finding | None:
    """A finding if another instance runs as the same user, or None: each could stop the other and
    read its secrets."""
    for path in sorted(
        glob.glob(os.path.join(glob.escape(os.path.dirname(unit_file)), "*.service"))
    ):
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                text = stream.read()
        except OSError:
            continue
        if (
            path != unit_file
            and text.startswith(OURS)
            and re.search(r"^User=%s$" % re.escape(user), text, re.MULTILINE)
        ):
            return finding(
                "accounts",
                "two instances would run as %s, so that the programs of one could stop those of "
                "the other and read its secrets" % user,
                "%s has User=%s" % (path, user),
                "Set swf_testbed_user (for the index: swf_testbed_index_system_user) to another "
                "name for one of them. If that instance is already installed, stop it and change "
                "the owner of its files: chown -R in /var/lib and /var/log",
            )
    return None
