# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services that a host uses, for the option ``reach`` of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._stack import Stack, stack_of

#: services that components of the stack with the same role provide
OF_COMPONENTS = ("broker", "monitor")


def with_passwords(
    items: Iterable[Mapping[str, Any]], read: Callable[[str], Any]
) -> list[dict[str, Any]]:
    """The items with the values of the variables that they name.

    :param read: returns the value of a variable, and generates no secret.
    """
    found = []
    for item in items:
        new = dict(item)
        if needed(item) and item.get("secret"):
            value = read(item["secret"])
            if isinstance(value, str) and value and _variables.GENERATED_LATER not in value:
                new["password"] = value
                new.update(address_in(value) if item.get("protocol") == "redis" else {})
        found.append(new)
    return found


def address_in(url: str) -> dict[str, Any]:
    """Host, port and TLS of the address of a Redis."""
    try:
        parts = urlsplit(url)
        found = {"host": parts.hostname, "port": parts.port}
    except ValueError:
        # the check of addresses reports it
        return {}
    tls = "on" if parts.scheme == "rediss" else "off"
    return {"tls": tls, **{name: value for name, value in found.items() if value}}


def external(
    items: Iterable[Mapping[str, Any]], stack: Stack, task_vars: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Those that no host of the inventory provides."""
    return [
        item
        for item in items
        if needed(item)
        and item.get("protocol")
        and item.get("provider", "") in ("", "testbed")
        and not (item["name"] in OF_COMPONENTS and runs(stack.of_role(item["name"]), task_vars))
    ]


def needed(item: Mapping[str, Any]) -> bool:
    return boolean(item.get("needed", True), strict=False)


def runs(names: list[str], task_vars: Mapping[str, Any]) -> bool:
    """Whether a host of the testbed runs one of these components."""
    for host in ((task_vars.get("groups") or {}).get("testbed") or []) if names else ():
        components = task_vars["hostvars"][host].get("swf_testbed_components")
        # by default, a host runs all
        if not isinstance(components, list) or {*names} & {*components}:
            return True
    return False


def of_preflight(
    arguments: Mapping[str, Any], check_mode: bool, task_vars: dict[str, Any], templar: Any
) -> list[dict[str, Any]]:
    """The external services that a preflight check tries, with the credentials of the programs.

    :param arguments: of the module preflight.
    """
    items = arguments.get("reach")
    if not items or not boolean(arguments.get("checks", True), strict=False):
        return []
    found = external(items, stack_of(templar, task_vars), task_vars)
    # check mode leaves no scratch addresses at a broker
    changed = {"probe": ""} if check_mode else {}
    return with_passwords([{**item, **changed} for item in found], Values(task_vars, templar).get)
