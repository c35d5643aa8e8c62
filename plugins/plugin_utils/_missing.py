# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that dropped out of a run: whether they may be missing, and the command that excludes
them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._unreached import (
    output_of,
    unreached,
)

#: the plays register these before programs switch to the new configuration. A missing host has the
#: result of the task at which it dropped out.
REGISTERED = ("swf_testbed_reached", "swf_testbed_index_access", "swf_testbed_release")
SERVICES = {"index", "database", "broker", "redis", "monitor"}


def lost_by(variables: dict[str, Any]) -> dict[str, Any]:
    """The result of the task at which a host dropped out; {} if there is none.

    :param variables: of the host.
    """
    results = [variables.get(name) for name in REGISTERED]
    return next(
        (
            item
            for item in results
            if isinstance(item, dict) and (item.get("unreachable") or item.get("failed"))
        ),
        {},
    )


def may_be_missing(variables: dict[str, Any]) -> bool:
    """Whether this host runs only agents, and is unreachable."""
    groups = set(variables.get("group_names") or ())
    return (
        "agents" in groups and not groups & SERVICES and bool(lost_by(variables).get("unreachable"))
    )


def line(host: str, variables: dict[str, Any]) -> str:
    """The report of a missing host."""
    answer = lost_by(variables)
    if not answer.get("unreachable"):
        return "- %s failed, see above" % host
    found = unreached(output_of(answer), host, variables)
    return "- %s: %s. Evidence: %s. Fix: %s" % (
        host,
        found["cause"],
        found["evidence"],
        found["fix"],
    )


def without(
    hosts: Iterable[str], arguments: Mapping[str, Any], default_inventory: Sequence[str] = ()
) -> str:
    """The command of this run without these hosts. Values of -e may be secret and are not
    repeated.

    :param arguments: of ansible-playbook.
    """
    command = ["ansible-playbook", *(arguments.get("args") or ["PLAYBOOK"])]
    for source in arguments.get("inventory") or ():
        if source not in default_inventory:
            command += [
                "-i",
                source if "," in source or not os.path.isabs(source) else shortest(source),
            ]
    limit = arguments.get("subset") or "all"
    separator = "," if "," in limit else ":"
    limit = separator.join([limit, *("!" + host for host in hosts)])
    others = " with the same other options" if arguments.get("extra_vars") else ""
    return "%s --limit %s%s" % (shlex.join(command), shlex.quote(limit), others)


def shortest(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def message(missing: dict[str, dict[str, Any]], allowed: int, command: str) -> str:
    """Why the run ends.

    :param missing: {host: variables}.
    :param allowed: swf_testbed_max_unreachable.
    """
    one = len(missing) == 1
    lines = [
        "%s missing, and the run ends before any program switches to the new configuration. "
        "Running programs are unchanged." % ("1 host is" if one else "%d hosts are" % len(missing))
    ]
    lines += [line(host, variables) for host, variables in missing.items()]
    if all(map(may_be_missing, missing.values())):
        lines.append(
            "Of hosts that only run agents, %d may be unreachable (swf_testbed_max_unreachable)."
            % allowed
        )
    lines.append(
        "Then run the same command again. To continue without %s: %s"
        % ("it" if one else "them", command)
    )
    return "\n".join(lines)
