# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A problem of a host or an index: cause, evidence and fix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FATAL, WARNING = "fatal", "warning"
Finding = dict[str, Any]


def finding(
    check: str,
    cause: str,
    evidence: str,
    fix: str,
    severity: str = FATAL,
    provider: str | None = None,
) -> Finding:
    """A finding as a dictionary that JSON can carry.

    :param check: the check that found it, one or two words, to filter by.
    :param provider: the part of the testbed that should have answered, if nothing did.
    """
    texts = {"cause": cause, "evidence": evidence, "fix": fix}
    return {"check": check, "severity": severity, **texts, "provider": provider}


def message(item: Mapping[str, Any]) -> str:
    """The finding as one text. No full stop follows the fix, which may end with a command.

    Evidence may be the message of another finding. Its fix is left out, line by line, if this
    one has a fix: two fixes in one text leave the choice to the reader.
    """
    texts = dict(item)
    if texts["fix"]:
        lines = texts["evidence"].split("\n")
        texts["evidence"] = "\n".join(line.partition(". Fix: ")[0] for line in lines)
    labels = (("cause", "%s"), ("evidence", "Evidence: %s"), ("fix", "Fix: %s"))
    return ". ".join(label % texts[key].rstrip(".") for key, label in labels if texts[key])


def numbered(texts: Iterable[str]) -> str:
    """Texts as numbered lines."""
    return "\n".join("%d. %s" % pair for pair in enumerate(texts, 1))
