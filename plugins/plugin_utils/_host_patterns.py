# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of hosts, of groups that an inventory may lack: Ansible warns of each such group."""

from __future__ import annotations

from collections.abc import Container

#: matches no host, without a warning
NO_HOST = "all:!all"


def existing(pattern: str, groups: Container[str]) -> str:
    """The pattern without the groups that do not exist.

    :param pattern: names of groups, separated by colons, some with ``!`` before them.
    """
    names = [name for name in pattern.split(":") if name.lstrip("!") in groups]
    return ":".join(names) if any(not name.startswith("!") for name in names) else NO_HOST
