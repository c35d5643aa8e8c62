# SPDX-License-Identifier: GPL-3.0-or-later
"""The depth of JSON. Python, SQLite and PostgreSQL fail at different depths, so there is one limit."""

from typing import Any

MAX_DEPTH = 100


def deeper_than(value: Any, depth: int) -> bool:
    """Whether JSON has more than `depth` nested lists and objects. It needs no recursion."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    return bool(level)
