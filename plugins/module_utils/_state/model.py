# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of an instance on a host, as data: the desired one, which the controller records at the
end of a successful run, and the present one.

It contains no secret: the content of each file is an HMAC under a key of the controller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FILE, DIRECTORY, LINK, OTHER, ABSENT = "file", "directory", "link", "other", "absent"


@dataclass(frozen=True)
class Node:
    """One path.

    :ivar mode: as 0600.
    :ivar content: the keyed digest of a file, the target of a link.
    """

    type: str
    mode: str = ""
    owner: str = ""
    group: str = ""
    content: str = ""

    def text(self) -> str:
        if self.type == ABSENT:
            return ABSENT
        words = [self.type, self.mode, "%s:%s" % (self.owner, self.group)]
        return " ".join([*words, "-> " * (self.type == LINK) + self.content]).rstrip()


@dataclass(frozen=True)
class InstanceState:
    """One instance.

    :ivar nodes: configuration, secrets, units, links and directories, by their paths.
    :ivar trees: parts of the active release and of its tools, each with the keyed digest of the
        modes, owners, sizes and times of all of its files.
    :ivar facts: the layout, and the Python for the next release.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    trees: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> InstanceState:
        nodes = {path: Node(**item) for path, item in found["nodes"].items()}
        return cls(nodes, dict(found["trees"]), dict(found["facts"]))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def lines(self) -> Iterator[str]:
        """The state for people: one line per item."""
        for path, node in sorted(self.nodes.items()):
            yield "%s: %s" % (path, node.text())
        for path, digest in sorted(self.trees.items()):
            yield "%s: %s" % (path, digest)
        for name, value in sorted(self.facts.items()):
            yield "%s: %s" % (name, json.dumps(value, sort_keys=True))


def differences(desired: InstanceState, found: InstanceState) -> Iterator[str]:
    """What differs from the desired state, as lines without digests."""
    missing = Node(ABSENT)
    for path in sorted({*desired.nodes, *found.nodes}):
        wanted, there = desired.nodes.get(path, missing), found.nodes.get(path, missing)
        if wanted != there:
            yield "%s %s" % (path, difference(wanted, there))
    for path in sorted({*desired.trees, *found.trees}):
        if desired.trees.get(path) != found.trees.get(path):
            yield "%s was changed" % path
    yield from different_values(desired.facts, found.facts, "")


def difference(wanted: Node, there: Node) -> str:
    if there.type == ABSENT:
        return "is missing"
    if wanted.type == ABSENT:
        return "was added"
    if wanted.type != there.type:
        return "is a %s, not a %s" % (there.type, wanted.type)
    if wanted.content != there.content:
        return "leads to " + there.content if there.type == LINK else "has other content"
    return " and ".join(
        "has the %s %s, not %s" % (name, getattr(there, name), getattr(wanted, name))
        for name in ("mode", "owner", "group")
        if getattr(there, name) != getattr(wanted, name)
    )


def different_values(
    wanted: Mapping[str, Any], there: Mapping[str, Any], prefix: str
) -> Iterator[str]:
    for name in sorted({*wanted, *there}):
        values = wanted.get(name), there.get(name)
        if isinstance(values[0], dict) and isinstance(values[1], dict):
            yield from different_values(values[0], values[1], prefix + name + ".")
        elif values[0] != values[1]:
            yield "%s%s is %r, not %r" % (prefix, name, values[1], values[0])
