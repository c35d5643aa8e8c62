# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses a change of the database by which a monitor would lose its history."""

from __future__ import annotations

import shlex
from typing import Any

PAGE = "docs/how-to/move_database.md"
TEXT = (
    "The monitor would start with an empty database: its history would be lost, run numbers would "
    "be reused, and the files of runs with these numbers deleted. No program was switched to the "
    "new configuration. Evidence: %(evidence)s.%(unknown)s Fix: stop the testbed "
    "(playbooks/stop.yml), move the history, and run the same command again: %(command)s "
    "(%(page)s). Or start with an empty database: -e swf_testbed_accept_empty_database=true"
)


def with_history(formers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The former databases that contain history, or may: {host: answer}."""
    return {
        host: answer for host, answer in formers.items() if answer.get("why") or answer.get("rows")
    }


def content_of(answer: dict[str, Any]) -> str:
    """The answer of a database as text."""
    if answer.get("why"):
        return "did not answer (%s)" % answer["why"][:300]
    return "contains %s" % (
        ", ".join("%d %s" % (number, what) for what, number in answer["rows"].items()) or "no rows"
    )


def commands(former: dict[str, Any], new: dict[str, Any]) -> str:
    """The command that moves the rows, if one is enough."""
    if former.get("host") and new.get("host"):
        pipe = "on the monitor's host: pg_dump --no-owner --no-acl %s | psql -v ON_ERROR_STOP=1 %s"
        return pipe % (options(former), options(new))
    if former.get("path") and new.get("path"):
        return "copy %s to %s, as the user of the monitor" % (former["path"], new["path"])
    return "from one database engine to the other"


def options(connection: dict[str, Any]) -> str:
    values = (connection[key] for key in ("host", "port", "user", "name"))
    return "-h %s -p %s -U %s %s" % tuple(shlex.quote(str(value)) for value in values)


def refusal(formers: dict[str, dict[str, Any]], new: dict[str, Any]) -> str:
    """Why the run ends, or "".

    :param formers: {host: answer of its former database}.
    :param new: answer of the new database.
    """
    old = with_history(formers)
    if not old or new["rows"]:
        return ""
    evidence = [
        "the former one, %s of %s, %s" % (answer["address"], host, content_of(answer))
        for host, answer in old.items()
    ]
    evidence.append("the new one, %s, %s" % (new["address"], content_of(new)))
    unknown = any(answer.get("why") for answer in old.values())
    return TEXT % {
        "evidence": "; ".join(evidence),
        "unknown": " A database that does not answer is treated as one with history."
        if unknown
        else "",
        "command": commands(next(iter(old.values())).get("connection", {}), new["connection"]),
        "page": PAGE,
    }
