# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses and users that an inventory declares for the broker."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.artemis import USER
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._broker_addresses import (
    AddressError,
    merged,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    Problem,
    problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

ADDRESSES, USERS = "swf_testbed_broker_addresses", "swf_testbed_broker_users"


def wrong_declarations(values: Values) -> Iterator[Problem]:
    if "broker" not in values.groups:
        return
    declared = [
        item
        for item in values.entries(ADDRESSES)
        # the check of types reports the others
        if isinstance(item, dict)
        and isinstance(item.get("name"), str)
        and isinstance(item.get("divert_to") or [], list)
    ]
    try:
        merged([*_stack.of_values(values).broker_addresses(), *declared])
    except AddressError as error:
        yield Problem(
            ADDRESSES, "has an invalid entry", "%s %s" % (error.name, error.cause), error.fix
        )
    for place, item in values.given_items(USERS):
        if isinstance(item, dict) and item.get("name") == USER:
            yield problem(
                place + ".name", USER, "is the name of a login of the role", "choose another name"
            )
