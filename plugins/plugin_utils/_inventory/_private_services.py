# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that the stack needs, and that the inventory names no server for."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    HIDDEN,
    Problem,
    problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

#: groups of the inventory whose roles run a service
GROUPS = {"database": "database", "cache": "redis"}


def without_server(values: Values) -> Iterator[Problem]:
    """A host whose components need a service that neither the inventory nor the instance has."""
    if "testbed" not in values.groups:
        return
    stack = _stack.of_values(values)
    here = [*_stack.components_here(values), *(item["name"] for item in stack.extra)]
    for service in _stack.private_services():
        if values.text(service["host"]) or not _stack.needs(stack.content, service):
            continue
        clients = stack.clients(service)
        found = [name for name in clients if name in here]
        if found and values.text(_stack.SCOPE) == "system":
            yield Problem(
                service["host"],
                "is empty, and the stack needs %s" % service["name"],
                "%s uses it, and in system scope the instance does not run it" % found[0],
                fix(service["host"], service["role"]),
            )
        elif found and found != clients and len(values.members("testbed")) > 1:
            yield Problem(
                service["host"],
                "is empty, and other hosts cannot use the %s that this host runs for itself"
                % service["name"],
                "it is used by %s, and this host does not run %s"
                % (", ".join(clients), ", ".join(sorted({*clients} - {*found}))),
                "run all of them on one host, or set it to a server of your own",
            )


def fix(host: str, role: str) -> str:
    server = "write the address of a server of your own"
    if role not in GROUPS:
        return server
    return "add a host to the group %s and write its address, or %s" % (GROUPS[role], server)


def without_host(values: Values) -> Iterator[Problem]:
    """An address of Redis that the instance would not use: it would run a server for itself."""
    if values.given("swf_testbed_redis_url") and not values.text("swf_testbed_redis_host"):
        yield problem(
            "swf_testbed_redis_url",
            HIDDEN,
            "is set, and swf_testbed_redis_host is empty",
            "set swf_testbed_redis_host to the host of this address",
        )
