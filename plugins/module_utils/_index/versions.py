# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of packages and of Python, compared like installers do (PEP 440), without a library that
hosts may lack."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

VERSION = re.compile(
    r"^v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>\d*))?"
    r"(?P<post>-(?P<post_dash>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_n>\d*))?"
    r"(?P<dev>[-_.]?dev[-_.]?(?P<dev_n>\d*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?$"
)
PRE = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
CLAUSE = re.compile(r"^\s*(===|~=|==|!=|<=|>=|<|>)\s*([^\s]+)\s*$")


def key(version: str) -> tuple[Any, ...] | None:
    """The sort key of a version; None for an invalid version."""
    match = VERSION.match(version.strip().lower())
    if not match:
        return None
    release = [int(part) for part in match["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    pre: tuple[float, int]
    if match["pre"]:
        pre = (PRE[match["pre"]], int(match["pre_n"] or 0))
    else:
        # 1.0.dev1 comes before 1.0a1, and 1.0 after 1.0rc1
        pre = (-1, 0) if match["dev"] and not match["post"] else (math.inf, 0)
    post = int(match["post_dash"] or match["post_n"] or 0) if match["post"] else -1
    dev = int(match["dev_n"] or 0) if match["dev"] else math.inf
    local = tuple(
        (1, int(part), "") if part.isdigit() else (0, 0, part)
        for part in re.split(r"[-_.]", match["local"] or "")
        if part
    )
    return (int(match["epoch"] or 0), tuple(release), pre, post, dev, local)


def is_prerelease(version: str) -> bool:
    found = key(version)
    return found is not None and (found[2][0] != math.inf or found[4] != math.inf)


def same(one: str, other: str) -> bool:
    """True if two texts are the same version: 1.0 is 1.0.0."""
    return one == other or (key(one) is not None and key(one) == key(other))


def newest_first(versions: Iterable[str]) -> list[str]:
    """Versions, the newest first; invalid ones come last."""
    return sorted(
        versions,
        key=lambda version: (key(version) is not None, key(version) or (), version),
        reverse=True,
    )


def allows(requirement: str | None, python: str) -> bool:
    """True if a ``requires-python`` allows a Python. An invalid one does, like in pip.

    :param requirement: such as ``>=3.10,<4``; None or an empty text allows everything.
    :param python: a version such as ``3.11.7``.
    """
    return all(
        clause_allows(clause, python) for clause in (requirement or "").split(",") if clause.strip()
    )


def clause_allows(clause: str, python: str) -> bool:
    match = CLAUSE.match(clause)
    if not match:
        return True
    operator, wanted = match.groups()
    if operator == "===":
        return wanted == python
    if wanted.endswith(".*"):
        prefix = wanted[:-2].split(".")
        matches = (python.split(".") + ["0"] * len(prefix))[: len(prefix)] == prefix
        return {"==": matches, "!=": not matches}.get(operator, True)
    ours, theirs = key(python), key(wanted)
    if ours is None or theirs is None:
        return True
    if operator == "~=":
        prefix = wanted.split(".")[:-1]
        return ours >= theirs and (python.split(".") + ["0"] * len(prefix))[: len(prefix)] == prefix
    return {
        "==": ours == theirs,
        "!=": ours != theirs,
        "<=": ours <= theirs,
        ">=": ours >= theirs,
        "<": ours < theirs,
        ">": ours > theirs,
    }[operator]
