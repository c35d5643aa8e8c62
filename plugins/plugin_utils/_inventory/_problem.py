# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""An unusable value in the inventory: variable, cause, evidence and fix."""

from __future__ import annotations

import json
import typing as t
from typing import Any

#: stands for a value that no message may show
HIDDEN = object()
MOST = 160


class Problem(t.NamedTuple):
    variable: str
    cause: str
    evidence: str
    fix: str

    def text(self) -> str:
        return "%s %s. Evidence: %s. Fix: %s" % (self.variable, self.cause, self.evidence, self.fix)


def problem(variable: str, value: Any, cause: str, fix: str) -> Problem:
    """A problem of one value.

    :param variable: the variable; inside lists and dictionaries with the path to the value, as in
        ``swf_testbed_pip_indexes[0].url``.
    :param value: its value, or :data:`HIDDEN` for a secret.
    :param cause: the predicate of a sentence whose subject is the variable.
    """
    return Problem(
        variable,
        cause,
        "its value is a secret and is not shown" if value is HIDDEN else "it is " + shown(value),
        fix,
    )


def shown(value: Any) -> str:
    """A value in YAML syntax, which distinguishes text from numbers."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= MOST else text[:MOST] + " ..."
