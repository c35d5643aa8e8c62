# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of the modules, from the reports of supervisord: times, exits, health, groups, a
summary."""

from __future__ import annotations

import datetime
import fnmatch
import re
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Snapshot

STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL, UNKNOWN = (
    0,
    10,
    20,
    30,
    40,
    100,
    200,
    1000,
)
STATE_NAMES = {
    STOPPED: "STOPPED",
    STARTING: "STARTING",
    RUNNING: "RUNNING",
    BACKOFF: "BACKOFF",
    STOPPING: "STOPPING",
    EXITED: "EXITED",
    FATAL: "FATAL",
    UNKNOWN: "UNKNOWN",
}
ACTIVE = (STARTING, RUNNING, BACKOFF)  # supervisord runs it, or tries to
_WORST_FIRST = (FATAL, UNKNOWN, BACKOFF, EXITED, STOPPED, STOPPING, STARTING, RUNNING)
LAST_SECOND = 2**31 - 1  # XML-RPC integers end here, and with them supervisord's clock

_EXIT_LINE = re.compile(
    r"(?:exited|stopped): (?P<name>.+) "
    r"\((?:exit status (?P<status>\d+)|terminated by (?P<signal>[A-Za-z0-9 ]+?))"
    r"(?: \(core dumped\))?(?:; (?:not )?expected)?\)$",
    re.MULTILINE,
)

Process = dict[str, t.Any]


def namespec(info: t.Mapping[str, t.Any]) -> str:
    """The full name, group:name, that every call of supervisord accepts."""
    return "%s:%s" % (info["group"], info["name"])


def display_name(info: t.Mapping[str, t.Any]) -> str:
    """The name as supervisorctl shows it: group:name, or only the name if both are equal."""
    return info["name"] if info["group"] == info["name"] else namespec(info)


def matches(info: t.Mapping[str, t.Any], names: t.Iterable[str], groups: t.Iterable[str]) -> bool:
    """Whether shell patterns select this program; "all" and "group:" have the meaning of
    supervisorctl."""
    for pattern in names:
        if pattern == "all":
            return True
        if pattern.endswith(":"):
            pattern += "*"
        if fnmatch.fnmatchcase(display_name(info), pattern) or fnmatch.fnmatchcase(
            namespec(info), pattern
        ):
            return True
    return any(fnmatch.fnmatchcase(info["group"], pattern) for pattern in groups)


def select(
    infos: t.Iterable[t.Any], names: t.Sequence[str], groups: t.Sequence[str]
) -> list[t.Any]:
    """The programs that the patterns select; all without patterns."""
    if not names and not groups:
        return list(infos)
    return [info for info in infos if matches(info, names, groups)]


def unmatched(
    infos: t.Sequence[t.Any], names: t.Iterable[str], groups: t.Iterable[str]
) -> list[str]:
    """The patterns that match no program."""
    return [name for name in names if not any(matches(info, [name], []) for info in infos)] + [
        group for group in groups if not any(matches(info, [], [group]) for info in infos)
    ]


class Exit(t.NamedTuple):
    status: int | None
    signal: str | None


def exits_in_log(log: str) -> dict[str, Exit]:
    """The last exit of each program in a main log, by the program's name without its group."""
    found = {}
    for match in _EXIT_LINE.finditer(log):
        status = match.group("status")
        found[match.group("name")] = Exit(
            int(status) if status is not None else None, match.group("signal")
        )
    return found


def exit_needs_log(info: t.Mapping[str, t.Any]) -> bool:
    """Whether supervisord reports no usable exit status for a program that exited.

    After "Exited too quickly" it always reports 0, and it reports -1 for any signal.
    """
    if info["state"] in (BACKOFF, FATAL, STOPPED) and info["spawnerr"].startswith(
        "Exited too quickly"
    ):
        return True
    return info["state"] in (EXITED, STOPPED) and info["exitstatus"] == -1


def processes(
    infos: t.Sequence[t.Mapping[str, t.Any]],
    config: t.Sequence[t.Mapping[str, t.Any]] | None,
    main_log: str,
    min_uptime: float = 0,
) -> list[Process]:
    """The modules' results for each program."""
    autostart = {(item["group"], item["name"]): bool(item["autostart"]) for item in config or ()}
    exits = exits_in_log(main_log)
    names = [info["name"] for info in infos]
    ambiguous = (
        {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    )
    result = []
    for info in infos:
        valid = None if info["name"] in ambiguous else exits.get(info["name"])
        item = _process(info, autostart.get((info["group"], info["name"])), valid)
        item["healthy"] = _healthy(item, min_uptime)
        result.append(item)
    return result


def _process(
    info: t.Mapping[str, t.Any], autostart: bool | None, last_exit: Exit | None
) -> Process:
    state = info["state"]
    alive = state in (STARTING, RUNNING, STOPPING)
    left = Exit(None, None)
    if exit_needs_log(info):
        left = last_exit or left
    elif (
        state in (EXITED, STOPPED)
        and info["start"]
        and not info["spawnerr"].startswith("Exited too quickly")
    ):
        left = Exit(info["exitstatus"], None)
    # a start in the future: the clock was set back
    valid = info["start"] <= info["now"] < LAST_SECOND
    uptime = info["now"] - info["start"] if alive and valid else None
    return {
        "name": info["name"],
        "group": info["group"],
        "full_name": display_name(info),
        "state": STATE_NAMES.get(state, info["statename"]),
        "state_code": state,
        "pid": info["pid"] or None,
        "uptime_seconds": uptime,
        "started_at": _iso(info["start"]),
        "stopped_at": None if alive else _iso(info["stop"]),
        "spawn_error": info["spawnerr"] or None,
        "exit_status": left.status,
        "exit_signal": left.signal,
        "exit_expected": not info["spawnerr"] if state == EXITED else None,
        "autostart": autostart if state == STOPPED else None,
        "stdout_logfile": info["stdout_logfile"] or None,
        "stderr_logfile": info["stderr_logfile"] or None,
    }


def _healthy(item: Process, min_uptime: float) -> bool:
    state = item["state_code"]
    if state == RUNNING:
        return item["uptime_seconds"] is None or item["uptime_seconds"] >= min_uptime
    if state == EXITED:
        return item["exit_expected"]
    return state == STOPPED and item["autostart"] is False


def _iso(seconds: int) -> str | None:
    if not seconds or seconds >= LAST_SECOND:
        return None
    moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def groups(items: t.Iterable[Process]) -> list[dict[str, t.Any]]:
    """Per group: its members, their worst state, and whether all are healthy."""
    found: dict[str, list[Process]] = {}
    for item in items:
        found.setdefault(item["group"], []).append(item)
    return [
        {
            "name": name,
            "members": [item["full_name"] for item in members],
            "worst_state": min(members, key=_badness)["state"],
            "healthy": all(item["healthy"] for item in members),
        }
        for name, members in found.items()
    ]


def _badness(item: Process) -> int:
    state = item["state_code"]
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else 0


def summary(items: t.Sequence[Process]) -> dict[str, int]:
    """The number of programs in total, and in each state."""
    counts = {"total": len(items)}
    for name in STATE_NAMES.values():
        counts[name.lower()] = sum(1 for item in items if item["state"] == name)
    return counts


def supervisor(snapshot: Snapshot) -> dict[str, t.Any]:
    """The modules' result for supervisord itself."""
    return {
        "version": snapshot.version,
        "api_version": snapshot.api_version,
        "identification": snapshot.identification,
        "state": snapshot.state["statename"],
        "state_code": snapshot.state["statecode"],
        "pid": snapshot.pid,
    }


def describe(item: Process) -> str:
    """The state of a program with its reason, for a message."""
    parts = []
    if item["spawn_error"]:
        parts.append(item["spawn_error"])
    if item["exit_status"] is not None and item["state_code"] in (EXITED, BACKOFF, FATAL):
        status = "exit status %d" % item["exit_status"]
        if item["spawn_error"] != "Bad exit code %d" % item["exit_status"]:
            parts.append(status)
    if item["exit_signal"]:
        parts.append("terminated by " + item["exit_signal"])
    text = "%s is %s" % (item["full_name"], item["state"])
    return "%s (%s)" % (text, "; ".join(parts)) if parts else text
