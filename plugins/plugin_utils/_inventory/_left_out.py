# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that a run with --limit would generate although hosts outside of the limit have them
already: the new ones would not match."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._variables import (
    GENERATED_LATER,
)

#: secret: groups of the hosts that have it
SECRETS: dict[str, tuple[str, ...]] = {
    "swf_testbed_index_token": ("index",),
    "swf_testbed_broker_password": ("broker",),
    "swf_testbed_database_password": ("database",),
    "swf_testbed_redis_password": ("redis",),
}
AUTHORITIES: dict[str, tuple[str, ...]] = {
    "swf_testbed_ca_cert": ("broker", "database", "redis", "monitor"),
    "swf_testbed_index_ca_cert": ("index",),
}
FIX = (
    "run without --limit on the controller that installed these hosts; or import its secrets first "
    "(docs/how-to/team.md)"
)


def missing_secrets(values: Values) -> Iterator[Problem]:
    # check mode writes no secret
    if (
        not values.variables.get("ansible_limit")
        or values.variables.get("ansible_check_mode")
        or "testbed" not in values.groups
    ):
        return
    here = _stack.of_values(values).secrets(_stack.components_here(values))
    for name, groups in SECRETS.items():
        if name == "swf_testbed_database_password" and "database_password" not in here:
            continue
        yield from of_hosts(
            values, name, members(values, groups), values.get(name) == GENERATED_LATER
        )
    others = [host for host in values.members("testbed") if host not in values.members("agents")]
    name = "swf_testbed_api_token"
    yield from of_hosts(values, name, others, values.get(name) == GENERATED_LATER)
    own = os.path.join(os.path.expanduser(values.text("swf_testbed_controller_dir")), "ca")
    for name, groups in AUTHORITIES.items():
        path = os.path.expanduser(values.text(name))
        missing = os.path.dirname(path) == own and not os.path.exists(path)
        yield from of_hosts(
            values, name, members(values, groups), missing, "%s does not exist, and " % path
        )


def members(values: Values, groups: tuple[str, ...]) -> list[str]:
    return sorted({host for group in groups for host in values.members(group)})


def of_hosts(
    values: Values, name: str, hosts: list[str], missing: bool, evidence: str = ""
) -> Iterator[Problem]:
    """A problem, if hosts have the missing secret, and none of them is in this run."""
    if (
        missing
        and hosts
        and not set(hosts) & set(values.variables.get("ansible_play_hosts_all") or ())
    ):
        yield Problem(
            name,
            "is not on this controller, and a new one would not match",
            "%s%s, which would need it, too, %s excluded by --limit"
            % (
                evidence,
                ", ".join(hosts[:4]) + (" and others" if len(hosts) > 4 else ""),
                "is" if len(hosts) == 1 else "are",
            ),
            FIX,
        )
