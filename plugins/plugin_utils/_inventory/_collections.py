# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other collections that the roles of a host need."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values


def missing_collections(values: Values, roles: Iterable[str]) -> Iterator[Problem]:
    for role in roles:
        for name in _needed(role):
            if not is_installed(name):
                yield Problem(
                    "role %s" % role,
                    "needs the collection %s" % name,
                    "it is not installed on the controller",
                    "run: ansible-galaxy collection install %s" % name,
                )


def _needed(role: str) -> list[str]:
    # not `collections` of meta/main.yml: Ansible loads those, and warns of what is not installed
    path = _variables.ROLES / role / "meta/requirements.yml"
    if not path.exists():
        return []
    return [item["name"] for item in _variables.read(role, "meta/requirements.yml")["collections"]]


def is_installed(collection: str) -> bool:
    try:
        return importlib.util.find_spec("ansible_collections." + collection) is not None
    except ModuleNotFoundError:
        # its namespace is not installed, either
        return False
