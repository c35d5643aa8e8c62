# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that are declared for a broker."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

#: with the prefixes of the acceptor, these beginnings of a destination are not part of the address
PREFIXES = {"/queue/": "anycast", "/topic/": "multicast"}
# without the characters that Artemis, XML or STOMP give a meaning
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
#: addresses of the broker itself
RESERVED = re.compile(r"DLQ|activemq\..*|swf-broker\..*", re.DOTALL)


class AddressError(ValueError):
    """A declaration cannot be used. ``name`` is that of the address."""

    def __init__(self, name: Any, cause: str, fix: str) -> None:
        super().__init__("the address %s %s. Fix: %s" % (name, cause, fix))
        self.name, self.cause, self.fix = name, cause, fix


def split(name: str) -> tuple[str, str]:
    """(address, routing) of a destination; without a prefix, the routing is empty.

    :raises AddressError: the name is not valid.
    """
    prefix = next((item for item in PREFIXES if name.startswith(item)), "")
    address = name[len(prefix) :]
    if not NAME.fullmatch(address):
        raise AddressError(
            name, "is not a valid name", "use letters, digits and _.-, after /queue/ or /topic/"
        )
    if RESERVED.fullmatch(address):
        raise AddressError(name, "is one of the broker itself", "choose another name")
    return address, PREFIXES.get(prefix, "")


def merged(declared: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The addresses without their prefixes, each once. A later declaration replaces a former one.

    :raises AddressError: a declaration is not valid.
    """
    found: dict[str, dict[str, Any]] = {}
    for item in declared:
        address, implied = split(item["name"])
        routing = item.get("routing") or implied
        if not routing:
            raise AddressError(
                item["name"],
                "has neither a routing type nor a prefix",
                "set routing to anycast (one reader) or multicast (all readers)",
            )
        if implied and routing != implied:
            raise AddressError(
                item["name"],
                "is %s by its name and %s by its routing" % (implied, routing),
                "remove routing, or the prefix",
            )
        targets = [split(name)[0] for name in item.get("divert_to") or []]
        found[address] = dict(item, name=address, routing=routing, divert_to=targets)
    for address, item in found.items():
        for target in item["divert_to"]:
            if target not in found or target == address:
                raise AddressError(
                    address,
                    "is diverted to %s, which is not another declared address" % target,
                    "declare %s" % target,
                )
    return list(found.values())
