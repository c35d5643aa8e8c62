# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until programs are in the state that is wanted, and says which are not and why."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client

WANTED_STATES = ("running", "stopped", "exited", "fatal")
# supervisord restarts what it will restart within a second: a program that is EXITED for longer
# stays so. It tells whole seconds, so a difference of 2 is more than 1.
_SETTLED_SECONDS = 2

Info = t.Mapping[str, t.Any]


class Outcome(t.NamedTuple):
    """How a wait ended: the last look at all programs, and the reason per failed one
    (group:name)."""

    infos: list[dict[str, t.Any]]
    reasons: dict[str, str]
    timed_out: bool


_FAILED = "failed"


class Waiter:
    """Judges each look at the programs against what is wanted.

    :param wanted: per name in full (group:name) one of WANTED_STATES.
    :param min_uptime: seconds that a program must have been RUNNING without a break.
    """

    def __init__(self, wanted: t.Mapping[str, str], min_uptime: float) -> None:
        self._wanted = wanted
        self._min_uptime = min_uptime
        self._seen_since: dict[str, tuple[tuple[int, int], float]] = {}

    def judge(
        self, infos: t.Iterable[Info], names: t.Iterable[str] | None
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The programs that cannot get there, and those that are not there yet; each with the
        reason.

        :param names: what was looked at, if not all that is wanted.
        """
        known = {status.namespec(info): info for info in infos}
        failed: dict[str, str] = {}
        pending: dict[str, str] = {}
        for name in self._wanted if names is None else names:
            wanted, info = self._wanted[name], known.get(name)
            if info is None:
                failed[name] = "supervisord does not know it any more"
                continue
            verdict = getattr(self, "_" + wanted)(name, info)
            if verdict == _FAILED:
                failed[name] = ""  # its state says it all
            elif verdict is not None:
                pending[name] = verdict
        return failed, pending

    # Each of these says of one program: None, it is as wanted; _FAILED, it will not get there by
    # itself; or else what is missing still, "" where its state says that.

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
        # supervisord tells whole seconds, so one is taken off; a clock of our own runs beside it.
        if info["now"] - info["start"] - 1 >= self._min_uptime:
            return None
        if self._seen_for(name, (info["pid"], info["start"])) >= self._min_uptime:
            return None
        return "not yet for %g s without a break" % self._min_uptime

    def _settled(self, name: str, info: Info) -> bool:
        """Whether a program that exited stays so, and is not about to be restarted."""
        if info["now"] - info["stop"] >= _SETTLED_SECONDS or info["now"] >= status.LAST_SECOND:
            return True
        # the clock that both are of may have been set back
        return self._seen_for(name, (0, info["stop"])) >= _SETTLED_SECONDS

    def _seen_for(self, name: str, identity: tuple[int, int]) -> float:
        """Seconds for which each look has shown the program like that."""
        known, since = self._seen_since.get(name, (None, 0.0))
        if known != identity:
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
    """Look until all programs are as wanted, one cannot get there, or the time is up.

    :param first: a look that was already taken.
    :param nudge: called with each look before it is judged, to act on what it shows; it returns
        whether it acted, and the programs that cannot be acted on, each with the reason.
    """
    waiter = Waiter(wanted, min_uptime)
    start = time.monotonic()
    infos = first if first is not None else client.processes()
    few = len(infos) // 2  # to look at so many programs one by one is quicker than to look at all
    names: list[str] | None = None  # that were looked at, None for all
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
            names, infos = (
                None,
                everything,
            )  # the others may have changed meanwhile: judge all once more
            continue
        names = list(pending) if len(pending) <= few else None
        # supervisord moves programs on when it is woken, so looking often also makes them ready
        # sooner.
        time.sleep(min(0.05 if elapsed < 3 else 0.25, max(0.0, timeout - elapsed)))
        infos = client.processes(names)


def _completed(
    infos: list[dict[str, t.Any]], judged: list[dict[str, t.Any]]
) -> list[dict[str, t.Any]]:
    """A look at all programs, but with those that were judged as they were then."""
    known = {status.namespec(info): info for info in judged}
    return [known.get(status.namespec(info), info) for info in infos]


def explain(
    outcome: Outcome, items: t.Sequence[status.Process], total: int, goal: str, timeout: float
) -> str:
    """One message that names the programs that are not as wanted, their states and the reasons.

    :param items: what the modules return for those programs.
    :param total: how many programs were waited for.
    :param goal: what they should be, for example "RUNNING".
    """
    known = {status.namespec(item): item for item in items}
    parts = []
    for name, reason in sorted(outcome.reasons.items()):
        item = known.get(name)
        text = status.describe(item) if item else name
        parts.append("%s: %s" % (text, reason) if reason else text)
    shown = "; ".join(parts[:10])
    if len(parts) > 10:
        shown += "; and %d more" % (len(parts) - 10)
    count = "%d of %d programs" % (len(parts), total) if total != 1 else "The program"
    verb = "are" if len(parts) != 1 else "is"
    when = " after %g s" % timeout if outcome.timed_out else ""
    return "%s %s not %s%s: %s." % (count, verb, goal, when, shown)
