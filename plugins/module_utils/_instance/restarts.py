# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that end and are restarted over and over: nearly every query shows them RUNNING, and
healthy."""

from __future__ import annotations

import datetime
import json
import re
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status

WINDOW = 3600  # seconds
# a single end may have an external cause
TIMES = 2

_END = re.compile(
    r"^(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(?P<ms>\d{3}) \S+ (?P<what>exited|stopped): "
    r"(?P<name>.+) "
    r"\((?P<how>exit status \d+|terminated by [^;)]+?(?: \(core dumped\))?)(?:; (?:not "
    r")?expected)?\)$",
    re.MULTILINE,
)

Info = t.Mapping[str, t.Any]


class Restart(t.NamedTuple):
    """A running program that ended by itself a few times before.

    :ivar times: the number of ends within the last hour.
    :ivar how: the last end, as C(exit status 7).
    :ivar stop: the time of the last end, in seconds since 1970.
    """

    times: int
    how: str
    stop: float


def restarted(main_log: str, infos: t.Iterable[Info]) -> dict[str, Restart]:
    """The programs that supervisord had to restart repeatedly, by full name (group:name).

    :param main_log: the end of supervisord's own log; it names programs without their groups.
    """
    suspects = {
        info["name"]: info
        for info in infos
        if info["state"] in (status.STARTING, status.RUNNING) and info["stop"]
    }
    ends: dict[str, list[t.Any]] = {name: [] for name in suspects}
    for match in _END.finditer(main_log):
        # a stop by an operator resets the count
        if match.group("what") == "stopped":
            ends[match.group("name")] = []
        else:
            ends.setdefault(match.group("name"), []).append(match)
    found = {}
    for name, info in suspects.items():
        if not ends[name]:
            continue
        last = ends[name][-1]
        times = sum(abs(_at(last) - _at(match)) < WINDOW for match in ends[name])
        # absolute differences: the clock may have been set back
        if times >= TIMES and abs(info["now"] - info["stop"]) < WINDOW:
            found[status.namespec(info)] = Restart(
                times, last.group("how"), info["stop"] + int(last.group("ms")) / 1000
            )
    return found


def _at(match: t.Any) -> float:
    # local time; only differences are used
    return (
        datetime.datetime.strptime(match.group("at"), "%Y-%m-%d %H:%M:%S")
        .replace(tzinfo=datetime.timezone.utc)
        .timestamp()
    )


def before(text: str, moment: float) -> list[str]:
    """The lines of a log up to a moment, if it has lines of JSON with their time, as those of the
    agents."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        try:
            at = datetime.datetime.fromisoformat(json.loads(line)["time"])
        except (ValueError, TypeError, KeyError):
            continue
        if at.tzinfo and at.timestamp() > moment:
            return lines[:number]
    return lines
