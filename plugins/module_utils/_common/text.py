# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials are text. YAML and INI parse some as numbers: 0123 becomes 83, 1e5 becomes 100000.0,
and the original is lost."""

from __future__ import annotations

from typing import Any


def not_text(what: str, value: Any) -> str | None:
    """The problem of a credential that is not text, or None. The message does not contain the
    value."""
    if isinstance(value, str):
        return None
    # bool is an int
    types = ((type(None), "empty"), (bool, "a truth value"), ((int, float), "a number"))
    names = [text for cls, text in types if isinstance(value, cls)]
    found = names[0] if names else "a list or a dictionary"
    return (
        "%s must be text. Evidence: it is %s; without quotes, YAML and INI read 0123 and 1e5 as "
        "numbers. Fix: quote it" % (what, found)
    )
