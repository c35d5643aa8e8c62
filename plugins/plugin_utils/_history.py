# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a monitor would lose its history with another database, and how it is moved."""

from __future__ import annotations

import shlex
from typing import Any

PAGE = "docs/move_database.md"
TEXT = (
    "The monitor would begin with an empty database: its history would be gone, run numbers would "
    "be used again, and the files "
    "of runs with these numbers deleted. No program was changed over. Evidence: "
    "%(evidence)s.%(unknown)s Fix: stop the testbed "
    "(playbooks/stop.yml), move the history, and run the same again: %(command)s (%(page)s). Or "
    "begin anew: "
    "-e swf_testbed_accept_empty_database=true"
)


def holding(formers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The former databases that hold history, or may: {host: answer}."""
    return {
        host: answer for host, answer in formers.items() if answer.get("why") or answer.get("rows")
    }


def said(answer: dict[str, Any]) -> str:
    """What a database answered."""
    if answer.get("why"):
        return "could not be asked (%s)" % answer["why"][:300]
    return "holds %s" % (
        ", ".join("%d %s" % (number, what) for what, number in answer["rows"].items())
        or "none of it"
    )


def commands(former: dict[str, Any], new: dict[str, Any]) -> str:
    """The command that moves the rows, where one is enough."""
    if former.get("host") and new.get("host"):
        pipe = "on the monitor's host: pg_dump --no-owner --no-acl %s | psql -v ON_ERROR_STOP=1 %s"
        return pipe % (options(former), options(new))
    if former.get("path") and new.get("path"):
        return "copy %s to %s, as the user of the monitor" % (former["path"], new["path"])
    return "from one kind of database to the other"


def options(connection: dict[str, Any]) -> str:
    return shlex.join(
        [
            "-h",
            connection["host"],
            "-p",
            str(connection["port"]),
            "-U",
            connection["user"],
            connection["name"],
        ]
    )


def refusal(formers: dict[str, dict[str, Any]], new: dict[str, Any]) -> str:
    """Why the run ends, or "".

    :param formers: {host: what was answered for the database that it had}.
    :param new: what was answered for the one that it is going to have.
    """
    old = holding(formers)
    if not old or new["rows"]:
        return ""
    evidence = [
        "the former one, %s of %s, %s" % (answer["address"], host, said(answer))
        for host, answer in old.items()
    ]
    evidence.append("the new one, %s, %s" % (new["address"], said(new)))
    unknown = any(answer.get("why") for answer in old.values())
    return TEXT % {
        "evidence": "; ".join(evidence),
        "unknown": " A database that cannot be asked counts as one with history."
        if unknown
        else "",
        "command": commands(next(iter(old.values())).get("connection", {}), new["connection"]),
        "page": PAGE,
    }
