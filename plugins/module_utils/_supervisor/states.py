# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of supervisor_program that do not apply a configuration, with and without check mode;
and all states by name."""

from __future__ import annotations

import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.detached import detached
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import actions, status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_programs import (
    signal_number,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.plan_states import (
    absent,
    applied,
    present,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.start_order import (
    CAUSE,
    start_now,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.task import (
    DOES_NOT_RUN,
    DOES_RUN,
    Result,
    Task,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.wait import Outcome


def started(task: Task) -> Result:
    infos = task.selected()
    names = task.in_order(status.namespec(info) for info in infos if actions.needs_start(info))
    did = dict.fromkeys(names, "started")
    predicted = dict.fromkeys(names, DOES_RUN)
    if task.module.check_mode:
        return task.finish(did, predicted)
    watch = [status.namespec(info) for info in infos]
    task.touched = bool(did)
    try:
        blocked = _started_in_order(task, names, watch)
    except SupervisorError as error:
        if error.cause != CAUSE:
            raise
        return task.unanswered(did, predicted, error)
    outcome = blocked or actions.start(
        task.client, names, watch, task.deadline, task.min_uptime, first=_first(task, names)
    )
    return task.finish(did, predicted, outcome, "RUNNING", len(watch))


def _first(task: Task, names: list[str]) -> list[dict[str, t.Any]] | None:
    """The first report, unless programs were started since."""
    return None if task.start_order.split(names)[1] else list(task.snapshot.processes)


def _started_in_order(task: Task, names: list[str], watch: list[str]) -> Outcome | None:
    """Start the programs that start first, and the others when the servers have answered; if none
    starts last, do nothing.

    :returns: an outcome if one of the first cannot start.
    """
    order = task.start_order
    first, last = order.split(names)
    if not last:
        return None

    def start_last() -> Outcome | None:
        start_now(task.client, first)
        blocked = order.wait(task.client, order.split(watch)[0], last)
        if blocked is None:
            start_now(task.client, last)
        return blocked

    # if the module is killed, the programs that start last are started all the same
    outcome = detached(start_last)
    # the answers of servers have a time of their own
    task.deadline = actions.Deadline(task.module.params["wait_timeout"])
    return outcome


def stopped(task: Task) -> Result:
    infos = task.selected()
    names = [status.namespec(info) for info in infos if info["state"] in status.ACTIVE]
    did = dict.fromkeys(names, "stopped")
    predicted = dict.fromkeys(names, DOES_NOT_RUN)
    if task.module.check_mode:
        return task.finish(did, predicted)
    task.touched = bool(did)
    every = task.in_order(status.namespec(info) for info in infos)[::-1]
    outcome = actions.stop(task.client, every, task.deadline, first=list(task.snapshot.processes))
    return task.finish(did, predicted, outcome, "stopped", len(every))


def restarted(task: Task) -> Result:
    infos = task.selected()
    running = {status.namespec(info) for info in infos if actions.needs_stop(info)}
    names = task.in_order(status.namespec(info) for info in infos)
    did = {name: "restarted" if name in running else "started" for name in names}
    predicted = dict.fromkeys(names, DOES_RUN)
    if task.module.check_mode:
        return task.finish(did, predicted)
    task.touched = bool(did)
    stopping = [name for name in names[::-1] if name in running]
    blocked, outcome = detached(lambda: _restart(task, stopping, names))
    if blocked:
        return task.finish(did, predicted, outcome, "stopped", len(running))
    return task.finish(did, predicted, outcome, "RUNNING", len(names))


def _restart(task: Task, stopping: list[str], names: list[str]) -> tuple[bool, Outcome]:
    """(whether a program does not stop, the outcome)."""
    outcome = actions.stop(task.client, stopping, task.deadline, first=task.snapshot.processes)
    if outcome.reasons:
        return True, outcome
    return False, actions.start(task.client, names, (), task.deadline, task.min_uptime)


def signalled(task: Task) -> Result:
    signallable = (status.RUNNING, status.STARTING, status.STOPPING)
    infos = task.selected()
    names = [status.namespec(info) for info in infos if info["state"] in signallable]
    explicit = [
        status.display_name(info)
        for info in infos
        if info["state"] not in signallable
        and {status.display_name(info), status.namespec(info)} & set(task.names)
    ]
    if explicit:
        raise SupervisorError(
            "not_running",
            "Cannot signal %s: not running. Fix: start it first." % ", ".join(explicit),
        )
    did = dict.fromkeys(names, "signalled")
    if task.module.check_mode:
        return task.finish(did, {name: _state(task, name) for name in names})
    number = signal_number(task.module.params["signal"])
    task.touched = bool(did)
    reasons = actions.signal(task.client, names, number)
    outcome = Outcome(task.client.processes(), reasons, False)
    return task.finish(
        did, {name: _state(task, name) for name in names}, outcome, "signalled", len(names)
    )


def _state(task: Task, name: str) -> str:
    return task.before[name]["state"]


STATES: dict[str, t.Callable[[Task], Result]] = {
    "started": started,
    "stopped": stopped,
    "restarted": restarted,
    "signalled": signalled,
    "applied": applied,
    "present": present,
    "absent": absent,
}
