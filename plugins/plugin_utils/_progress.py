# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the callback progress."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: the phase of each play of site.yml and upgrade.yml. Another play is a phase with its own name.
PHASES = {
    "Ask the hosts for their state": "preflight",
    "Run preflight checks on all hosts": "preflight",
    "Check the inventory and the hosts of the database": "preflight",
    "Open the firewall": "services",
    "Serve the private package index": "index",
    "Build the release on every host of the testbed": "build",
    "Build the release on every host": "build",
    "Run the database": "services",
    "Run the broker": "services",
    "Run Redis": "services",
    "Serve the monitor's page": "services",
    "Check the history of the monitor, and back up its database": "change-over",
    "Run the testbed on all hosts but those of agents": "change-over",
    "Run the agents": "change-over",
    "Change over all hosts but those of agents": "change-over",
    "Change over the agents": "change-over",
    "Restore the secrets of the services if the run failed": "verify",
    "Restore the secrets of the programs if the run failed": "verify",
    "Restore the secrets of the agents if the run failed": "verify",
    "Settle the secrets": "verify",
    "Collect the status": "verify",
    "Report the status": "verify",
}
#: where a message of ours continues: `Cause. Evidence: ... Fix: ...`
PARTS = re.compile(r"\s+(?=(?:Evidence|Fix): )")
#: the mark of an item of a list
MARK = re.compile(r"(?:-|\d+\.) +")
#: of the output of a failed command
LAST_LINES = 20
NAME_WIDTH = 24
MOST_ANSWERS = 8


@dataclass
class Phase:
    """What happened in a phase."""

    name: str
    seconds: float = 0.0
    hosts: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    changed: dict[str, int] = field(default_factory=dict)

    def change(self, host: str) -> None:
        self.changed[host] = self.changed.get(host, 0) + 1


def task_name(name: str) -> str:
    """Without the name of its role."""
    return name.strip().rpartition(" : ")[2]


def elapsed(seconds: float) -> str:
    """As minutes:seconds."""
    return "%d:%02d" % divmod(int(seconds), 60)


def hosts_in(hosts: Iterable[str], room: int) -> str:
    """The names of hosts, as many as there is room for, and the number of the others."""
    names = list(dict.fromkeys(hosts))
    for shown in range(len(names), 0, -1):
        others = len(names) - shown
        text = ", ".join(names[:shown]) + (" and %d more" % others if others else "")
        if len(text) <= room or shown == 1:
            return text
    return ""


def line(seconds: float, text: str, end: str, width: int) -> str:
    """The last line of a terminal: what is running, for how long, and, if the text is too long, its
    begin and the end of the line."""
    start = "[%s] " % elapsed(seconds)
    room = width - len(start) - len(end) - 1
    if len(text) > room:
        text = text[: max(room - 3, 0)] + "..."
    return ("%s%s %s" % (start, text, end))[:width]


def answers(found: Mapping[str, Iterable[str]], width: int) -> list[str]:
    """The lines of the answers to the question for the state of a host, each after its hosts."""
    lines: list[str] = []
    for text, hosts in list(found.items())[:MOST_ANSWERS]:
        text = " ".join(text.split())
        room = max(width - len("  : " + text), NAME_WIDTH)
        lines += textwrap.wrap(
            "  %s: %s" % (hosts_in(hosts, room), text),
            width,
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    if len(found) > MOST_ANSWERS:
        lines.append("  and %d more; -v shows them" % (len(found) - MOST_ANSWERS))
    return lines


def wrapped(text: str, width: int, indent: str) -> list[str]:
    """The lines of a message, each of its parts on a line of its own. Long words stay whole, so that
    a path or a command can be copied."""
    lines: list[str] = []
    for line in text.rstrip().splitlines():
        inner = indent + " " * (len(line) - len(line.lstrip()))
        for number, part in enumerate(PARTS.split(line.strip())):
            lines += textwrap.wrap(
                part,
                width,
                initial_indent=inner,
                subsequent_indent=inner + "  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            mark = MARK.match(part)
            if mark and not number:
                # the evidence and the fix of an item belong to it
                inner += " " * len(mark.group())
    return lines


def cause(result: Mapping[str, Any]) -> str:
    """Why a task failed: its message, and the last lines of a command."""
    if result.get("censored"):
        return str(result["censored"])
    text = str(result.get("msg") or result.get("reason") or "")
    for key in ("stderr", "stdout", "module_stderr", "module_stdout"):
        output = str(result.get(key) or "").strip()
        if output and output not in text:
            text += "\n%s:\n%s" % (key, "\n".join(output.splitlines()[-LAST_LINES:]))
            break
    return text.strip() or "the task has no message"


def is_printed(text: str, printed: Iterable[str]) -> bool:
    """Whether a cause is a part of a printed one, or the other way round."""
    short = " ".join(text.split())
    return any(short in other or other in short for other in printed)


def summary(phases: Iterable[Phase], width: int) -> list[str]:
    """A table with a line for each phase, if there are several."""
    phases = list(phases)
    if len(phases) < 2:
        return []
    room = min(NAME_WIDTH, max(len(phase.name) for phase in phases))
    row = "%%-%ds  %%6s  %%7s  %%7s  %%s" % max(room, len("phase"))
    lines = [row % ("phase", "time", "hosts", "changes", "changed hosts")]
    for phase in phases:
        good = len(phase.hosts - phase.failed)
        hosts = "%d" % good if good == len(phase.hosts) else "%d of %d" % (good, len(phase.hosts))
        start = row % (
            textwrap.shorten(phase.name, room, placeholder="..."),
            elapsed(phase.seconds),
            hosts,
            sum(phase.changed.values()),
            "",
        )
        lines.append((start + hosts_in(sorted(phase.changed), width - len(start))).rstrip())
    total = sum(phase.seconds for phase in phases)
    changes = sum(sum(phase.changed.values()) for phase in phases)
    everywhere = set().union(*(phase.hosts for phase in phases))
    lines.append((row % ("all", elapsed(total), len(everywhere), changes, "")).rstrip())
    return lines
