# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unknown names: a misspelled variable or component has no effect, or a wrong one, and no other
check reports it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import (
    _former_names,
    _variables,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    Problem,
    problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

MOST_EDITS = 2
WORD = re.compile(r"\w+")


def unknown_variables(values: Values) -> Iterator[Problem]:
    """Variables with our prefix that do not exist, and those whose prefix is misspelled."""
    options = _variables.options()
    for name in sorted(values.variables):
        former = _former_names.FORMER.keys() | _former_names.GONE.keys()
        if name in options or name in former or not isinstance(name, str):
            continue
        if name.startswith(_variables.PREFIX):
            if not _variables.INTERNAL.fullmatch(name):
                yield Problem(
                    name,
                    "is not a variable of this collection",
                    "no role has it",
                    "write %s, or remove it" % _variables.nearest(name, options),
                )
            continue
        meant = misspelled(name)
        # a variable that others refer to belongs to the site
        if meant and name not in used_names(values.variables):
            yield Problem(
                name,
                "is not a variable of this collection, and similar to one",
                "no role has it",
                "write %s; for a variable of your own, choose a name that is less similar" % meant,
            )


@functools.cache
def misspelled(name: str) -> str | None:
    """The known name that this one misspells, or None."""
    if name.startswith(("ansible_", "_")):
        return None
    near = [other for other in _variables.options() if abs(len(other) - len(name)) <= MOST_EDITS]
    best = min(((edits(name, other), other) for other in near), default=(MOST_EDITS + 1, None))
    return best[1] if best[0] <= MOST_EDITS else None


def edits(one: str, other: str) -> int:
    """How many letters must be inserted, deleted, replaced or swapped with their neighbour to turn
    one name into the other."""
    before, row = None, list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        above, before, row = before, row, [place]
        for column, wanted in enumerate(other, 1):
            least = min(before[column] + 1, row[-1] + 1, before[column - 1] + (letter != wanted))
            if above and column > 1 and letter == other[column - 2] and one[place - 2] == wanted:
                least = min(least, above[column - 2] + 1)
            row.append(least)
    return row[-1]


def used_names(variables: Mapping[str, Any]) -> set[str]:
    """The words in all templates of the inventory."""
    return {
        word
        for value in variables.values()
        for text in texts(value)
        if "{{" in text or "{%" in text
        for word in WORD.findall(text)
    }


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif type(value) in (dict, list) or isinstance(value, list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def unknown_components(values: Values) -> Iterator[Problem]:
    programs = _stack.of_values(values).names()
    components = values.entries("swf_testbed_components")
    for place, name in enumerate(components):
        where = "swf_testbed_components[%d]" % place
        if isinstance(name, str) and name not in programs:
            yield problem(
                where,
                name,
                "is not a component of the stack",
                "write %s; define a component of your own in swf_testbed_extra_components"
                % _variables.nearest(name, programs),
            )
        elif name in components[:place]:
            yield problem(where, name, "is listed twice", "remove one of them")
