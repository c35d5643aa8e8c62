# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queues of Artemis, and its addresses with their routing types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._broker.management import (
    Management,
)

DEAD_LETTERS = "DLQ"
#: addresses of the broker itself
OWN = ("activemq.", "swf-broker.", "$")


def queues(management: Management) -> list[dict[str, Any]]:
    """The queues of the programs, and that of the dead letters.

    A subscription to a multicast address is a queue, too, whose name is an identifier.
    """
    found = [
        {
            "name": item["name"],
            "address": item["address"],
            "routing": item["routingType"].lower(),
            "messages": int(item["messageCount"]),
            "delivering": int(item["deliveringCount"]),
            "readers": int(item["consumerCount"]),
            "durable": item["durable"] == "true",
        }
        for item in management.listed("listQueues")
        if not item["address"].startswith(OWN)
    ]
    return sorted(found, key=lambda item: (item["address"], item["name"]))


def dead_letters(found: Iterable[Mapping[str, Any]]) -> int:
    return sum(item["messages"] for item in found if item["address"] == DEAD_LETTERS)


def unread(found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The queues in which messages wait and which have no reader."""
    return [
        item
        for item in found
        if item["messages"] and not item["readers"] and item["address"] != DEAD_LETTERS
    ]


def routings(management: Management) -> dict[str, set[str]]:
    """{address: its routing types}."""
    # a list, with quotes since 2.56 and without them in 2.40
    return {
        item["name"]: set(re.findall("anycast|multicast", item["routingTypes"].lower()))
        for item in management.listed("listAddresses")
    }
