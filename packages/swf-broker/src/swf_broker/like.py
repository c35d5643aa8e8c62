# SPDX-License-Identifier: GPL-3.0-or-later
"""The patterns of LIKE: `%` stands for any characters, `_` for one."""

from __future__ import annotations

import re
from collections.abc import Iterator


class Like:
    """A compiled pattern. Raises ValueError.

    Its time is at most proportional to the length of the text times that of the pattern: the parts
    between two `%` are searched one after another, each at its first place. One regular expression
    for the whole pattern would try all combinations of places.
    """

    def __init__(self, pattern: str, escape: str | None = None) -> None:
        if escape is not None and len(escape) != 1:
            raise ValueError("ESCAPE expects a string of one character")
        # Each part is a list of regular expressions, one for each character.
        parts: list[list[str]] = [[]]
        for expression in _expressions(pattern, escape):
            if expression:
                parts[-1].append(expression)
            else:
                parts.append([])
        self._exact = len(parts) == 1
        self._length = len(parts[-1])  # of the last part, which must be at the end of the text
        self._parts = [re.compile("".join(part), re.DOTALL) for part in parts]

    def matches(self, text: str) -> bool:
        first, *others = self._parts
        if self._exact:
            return first.fullmatch(text) is not None
        found = first.match(text)
        for part in others[:-1]:
            if found is None:
                return False
            found = part.search(text, found.end())
        start = len(text) - self._length
        if found is None or start < found.end():
            return False
        return others[-1].match(text, start) is not None


def _expressions(pattern: str, escape: str | None) -> Iterator[str]:
    """A regular expression for each character of the text, and "" for each `%`."""
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            escaped = next(characters, "")
            if escaped not in ("%", "_", escape):
                raise ValueError(f"{escape!r} is not before %, _ or itself in {pattern!r}")
            yield re.escape(escaped)
        elif character == "%":
            yield ""
        else:
            yield "." if character == "_" else re.escape(character)
