# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until programs are in the wanted state, and reports those that are not, with reasons."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client

WANTED_STATES = ("running", "stopped", "exited", "fatal")
# supervisord restarts a program within a second or not at all: one that is EXITED for longer stays
# so. Its times are whole seconds, so a difference of 2 is more than 1.
_SETTLED_SECONDS = 2

Info = t.Mapping[str, t.Any]


class Outcome(t.NamedTuple):
    """The end of a wait: the last report of all programs, and the reason per failed one
    (group:name)."""

    infos: list[dict[str, t.Any]]
    reasons: dict[str, str]
    timed_out: bool


_FAILED = "failed"


class Waiter:
    """Compares each report of the programs with the wanted states.

    :param wanted: per full name (group:name) one of WANTED_STATES.
    :param min_uptime: seconds that a program must have been RUNNING without interruption.
    """

    def __init__(self, wanted: t.Mapping[str, str], min_uptime: float) -> None:
        self._wanted = wanted
        self._min_uptime = min_uptime
        self._seen_since: dict[str, tuple[tuple[int, int], float]] = {}

    def judge(
        self, infos: t.Iterable[Info], names: t.Iterable[str] | None
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The programs that cannot reach their state, and those that have not reached it yet; each
        with the reason.

        :param names: the reported programs, None for all wanted ones.
        """
        reported_info = {status.namespec(info): info for info in infos}
        failed: dict[str, str] = {}
        pending: dict[str, str] = {}
        for name in self._wanted if names is None else names:
            wanted, info = self._wanted[name], reported_info.get(name)
            if info is None:
                failed[name] = "supervisord does not have it any more"
                continue
            verdict = getattr(self, "_" + wanted)(name, info)
            if verdict == _FAILED:
                failed[name] = ""  # its state is the reason
            elif verdict is not None:
                pending[name] = verdict
        return failed, pending

    # Each of these returns None for a program in the wanted state; _FAILED if it will not reach it by
    # itself; else the reason for the wait, "" if its state is the reason.

    def _running(self, name: str, info: Info) -> str | None:
        state = info["state"]
        if state == status.RUNNING:
            return self._uptime(name, info)
        if state in (status.FATAL, status.UNKNOWN):
            return _FAILED
        if state == status.EXITED:
            if not self._settled(name, info):
                return ""
            return (
                _FAILED if info["spawnerr"] else None
            )  # None: a one-shot program that has done its work
        return ""

    def _uptime(self, name: str, info: Info) -> str | None:
        if not self._min_uptime:
            return None
        # supervisord's times are whole seconds, so one is subtracted; a clock of our own runs, too.
        if info["now"] - info["start"] - 1 >= self._min_uptime:
            return None
        if self._seen_for(name, (info["pid"], info["start"])) >= self._min_uptime:
            return None
        return "not yet for %g s without interruption" % self._min_uptime

    def _settled(self, name: str, info: Info) -> bool:
        """Whether a program that exited stays so, and is not about to be restarted."""
        if info["now"] - info["stop"] >= _SETTLED_SECONDS or info["now"] >= status.LAST_SECOND:
            return True
        # the clock of both may have been set back
        return self._seen_for(name, (0, info["stop"])) >= _SETTLED_SECONDS

    def _seen_for(self, name: str, identity: tuple[int, int]) -> float:
        """Seconds for which each report has shown the program like that."""
        reported_info, since = self._seen_since.get(name, (None, 0.0))
        if reported_info != identity:
            since = time.monotonic()
            self._seen_since[name] = (identity, since)
        return time.monotonic() - since

    def _stopped(self, name: str, info: Info) -> str | None:
        state = info["state"]
        if state in (status.STOPPED, status.FATAL, status.UNKNOWN):
            return None
        return None if state == status.EXITED and self._settled(name, info) else ""

    def _exited(self, name: str, info: Info) -> str | None:
        if info["state"] == status.EXITED:
            return None
        return _FAILED if info["state"] in (status.FATAL, status.UNKNOWN) else ""

    def _fatal(self, name: str, info: Info) -> str | None:
        return None if info["state"] == status.FATAL else ""


def wait(
    client: Client,
    wanted: t.Mapping[str, str],
    timeout: float,
    min_uptime: float = 0,
    first: list[dict[str, t.Any]] | None = None,
    nudge: t.Callable[[list[dict[str, t.Any]]], tuple[bool, dict[str, str]]] | None = None,
) -> Outcome:
    """Query until all programs are in the wanted state, one cannot reach it, or the timeout is over.

    :param first: a report that was already fetched.
    :param nudge: called with each report before it is judged, to act on it; it returns whether it
        acted, and the programs on which it could not act, each with the reason.
    """
    waiter = Waiter(wanted, min_uptime)
    start = time.monotonic()
    infos = first if first is not None else client.processes()
    # up to this number of programs, separate queries are faster than one for all
    few = len(infos) // 2
    names: list[str] | None = None  # the programs of the last query, None for all
    while True:
        acted, refused = nudge(infos) if nudge is not None else (False, {})
        if acted:
            names = list(wanted) if len(wanted) <= few else None
            infos = client.processes(names)
        failed, pending = waiter.judge(infos, names)
        failed.update(refused)
        elapsed = time.monotonic() - start
        if failed or elapsed >= timeout or not pending:
            if names is None:
                return Outcome(infos, failed or pending, not failed and bool(pending))
            everything = client.processes()
            if failed or pending:
                return Outcome(_completed(everything, infos), failed or pending, not failed)
            names, infos = None, everything  # the others may have changed: judge all once more
            continue
        names = list(pending) if len(pending) <= few else None
        # A query wakes supervisord, which then updates its programs: frequent ones save time.
        time.sleep(min(0.05 if elapsed < 3 else 0.25, max(0.0, timeout - elapsed)))
        infos = client.processes(names)


def _completed(
    infos: list[dict[str, t.Any]], judged: list[dict[str, t.Any]]
) -> list[dict[str, t.Any]]:
    """A report of all programs, but with the judged ones unchanged."""
    reported_info = {status.namespec(info): info for info in judged}
    return [reported_info.get(status.namespec(info), info) for info in infos]


def explain(
    outcome: Outcome, items: t.Sequence[status.Process], total: int, goal: str, timeout: float
) -> str:
    """One message with the programs that are not in the wanted state, their states and the reasons.

    :param items: the modules' results for those programs.
    :param total: the number of programs that were waited for.
    :param goal: the wanted state, for example "RUNNING".
    """
    reported_info = {status.namespec(item): item for item in items}
    parts = []
    for name, reason in sorted(outcome.reasons.items()):
        item = reported_info.get(name)
        text = status.describe(item) if item else name
        parts.append("%s: %s" % (text, reason) if reason else text)
    shown = "; ".join(parts[:10])
    if len(parts) > 10:
        shown += "; and %d more" % (len(parts) - 10)
    count = "%d of %d programs" % (len(parts), total) if total != 1 else "The program"
    verb = "are" if len(parts) != 1 else "is"
    when = " after %g s" % timeout if outcome.timed_out else ""
    return "%s %s not %s%s: %s." % (count, verb, goal, when, shown)
