# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""All problems with the variables of a host: the validator of all playbooks."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import (
    _addresses,
    _broker,
    _collections,
    _controller_tools,
    _files,
    _former_names,
    _left_out,
    _limits,
    _private_services,
    _programs,
    _secrets,
    _services,
    _sources,
    _types,
    _unknown,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

#: name of a part: functions that yield problems
PARTS: dict[str, tuple[Callable[[Values], Iterable[Problem]], ...]] = {
    "names": (
        _stack.wrong_stack,
        _former_names.former_names,
        _unknown.unknown_variables,
        _unknown.unknown_components,
        _limits.wrong_names,
    ),
    "versions": (_limits.wrong_versions,),
    "numbers": (_limits.wrong_numbers,),
    "addresses": (
        _addresses.wrong_addresses,
        _services.wrong_ports,
        _services.without_tls,
        _services.contradicting_urls,
        _services.external_services,
        _services.wrong_probe_prefix,
        _private_services.without_server,
        _private_services.without_host,
        _broker.wrong_declarations,
    ),
    "secrets": (_secrets.wrong_secrets, _secrets.wrong_users, _left_out.missing_secrets),
    "programs": (_programs.wrong_programs, _limits.wrong_accounts),
    "files": (_files.wrong_files,),
    "paths": (_files.wrong_paths,),
    "sources": (_sources.wrong_sources,),
}
#: the parts that depend on the roles of the host
PARTS_OF_ROLES: dict[str, Callable[[Values, list[str]], Iterable[Problem]]] = {
    "types": _types.wrong_types,
    "collections": _collections.missing_collections,
    "tools": _controller_tools.missing_tools,
}
ALL = (*PARTS_OF_ROLES, *PARTS)
TESTBED = ("preflight", "pip_index", "release", "testbed", "status")


def roles_of(groups: Iterable[str], variables: Mapping[str, Any]) -> list[str]:
    """The roles that site.yml applies to a host in these groups."""
    roles = {"common"} | ({"database", "broker", "redis"} & set(groups))
    if "monitor" in groups:
        roles.add("monitor_proxy")
    if "testbed" in groups:
        roles.update(TESTBED)
    if "index" in groups:
        roles.add("package_index")
    if variables.get("swf_testbed_firewall_manager", "none") != "none":
        roles.add("firewall")
    return sorted(roles)


def problems(values: Values, parts: Container[str] = ALL) -> list[Problem]:
    """All problems of a host, each once.

    :param values: the :class:`_values.Values` of the host.
    :param parts: names of :data:`ALL`.
    """
    roles = roles_of(values.groups, values.variables)
    values.restrict(roles)
    found: list[Problem] = []
    for part in ALL:
        if part in parts and part in PARTS_OF_ROLES:
            found += PARTS_OF_ROLES[part](values, roles)
        elif part in parts:
            for function in PARTS[part]:
                found += function(values)
    return list(dict.fromkeys([*found, *values.problems]))
