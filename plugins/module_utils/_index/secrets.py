# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes credentials from all output: as they are, and as servers echo them."""

from __future__ import annotations

import base64
import html
import json
import re
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

HIDDEN = "***"
# texts of this collection and of the user, not of servers: a token like "wrong" must not damage a
# verdict
OWN = ("name", "preset", "index", "package", "wanted", "verdict", "cause", "fix")
SHORTEST_FRAGMENT = 8


def spellings(username: str | None, token: str) -> list[str]:
    """The forms in which a token may occur in an address, a header or a page; the longest first."""
    found = {
        token,
        quote(token),
        quote(token, safe=""),
        quote_plus(token),
        html.escape(token),
        json.dumps(token)[1:-1],
    }
    found |= {re.sub("%..", lambda match: match[0].lower(), text) for text in found}
    raw = token.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for whole in (token, "%s:%s" % (username or "", token)):
            text = encode(whole.encode()).decode()
            found |= {text, text.rstrip("="), quote(text, safe="")}
        # inside a longer text base64 has three forms of it; the ends depend on the neighbours
        for offset in range(3):
            text = encode(b"\0" * offset + raw).decode().rstrip("=")
            fragment = text[(0, 2, 3)[offset] : len(text) - (1 if (offset + len(raw)) % 3 else 0)]
            if len(fragment) >= SHORTEST_FRAGMENT:
                found.add(fragment)
    return sorted((text for text in found if text), key=len, reverse=True)


class Scrubber:
    """Removes the credentials that it has learned."""

    def __init__(self) -> None:
        self._tokens: set[str] = set()
        self._spellings: list[str] = []

    def learn(self, username: str | None, token: Any) -> None:
        if token and isinstance(token, str):
            self._tokens.add(token)
            self._spellings = sorted(
                {*self._spellings, *spellings(username, token)}, key=len, reverse=True
            )

    def __call__(self, value: Any) -> Any:
        """The same value, lists and dicts included, without credentials."""
        if isinstance(value, dict):
            return {key: item if key in OWN else self(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, value: str) -> str:
        for spelling in self._spellings:
            value = value.replace(spelling, HIDDEN)
        # other escapes
        if any(
            token in other
            for token in self._tokens
            for other in (unquote_plus(value), html.unescape(value))
        ):
            return HIDDEN
        return value
