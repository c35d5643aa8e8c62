# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of supervisor_program that apply a configuration, with and without check mode."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.detached import detached
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import (
    actions,
    apply,
    status,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import plan as plans
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import (
    record as records,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import Daemon
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.plan import Plan
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


def applied(task: Task) -> Result:
    full = _make_plan(task)
    plan = _restrict(task, full)
    if task.module.check_mode:
        return task.finish(*_effects(task, plan), plan=plan)
    return _carry_out(task, plan, full)


def present(task: Task) -> Result:
    full = _make_plan(task)
    plan = _restrict(task, full)
    plan = Plan(
        added=plan.added,
        wanted={
            name: config for name, config in plan.wanted.items() if config["group"] in plan.added
        },
        left_out=plan.left_out + plan.changed,
    )
    if task.module.check_mode:
        return task.finish(*_effects(task, plan), plan=plan)
    return _carry_out(task, plan, full)


def absent(task: Task) -> Result:
    infos = status.select(task.snapshot.processes, task.names, task.groups)
    chosen = {status.namespec(info) for info in infos}
    groups = {info["group"] for info in infos}
    partly = [
        info["group"]
        for info in task.snapshot.processes
        if info["group"] in groups and status.namespec(info) not in chosen
    ]
    if partly:
        raise SupervisorError(
            "part_of_group",
            "supervisord removes whole groups only, and the group %s has more programs than the "
            "selected ones. Fix: give '%s:*' to remove it." % (partly[0], partly[0]),
        )
    plan = Plan(removed=sorted(groups))
    if task.module.check_mode:
        return task.finish(*_effects(task, plan), plan=plan)
    return _carry_out(task, plan)


def _make_plan(task: Task) -> Plan:
    if task.module.check_mode:
        plan = _predict(task)
    else:
        reported = task.snapshot.config  # as it was before supervisord reads the file
        answer = apply.reread(task.client)
        predicted = None
        # supervisord reports which groups differ, but not the differences. The file is read here
        # for that, for a missing record, and where supervisord cannot report its configuration.
        if (
            any(answer)
            or reported is None
            or records.is_missing(
                task.client.endpoint, Daemon(task.snapshot.pid), task.snapshot.processes
            )
        ):
            with contextlib.suppress(SupervisorError):
                predicted = _predict(task)
        plan = plans.from_reread(answer, predicted)
        if not plan.wanted:
            reported = task.client.config() if any(answer) else reported
            plan.wanted = {status.namespec(item): item for item in reported or ()}
        if not plan.wanted and predicted is not None:
            plan.wanted = predicted.wanted
    task.order = actions.Order(list(plan.wanted.values()))
    return plan


def _predict(task: Task) -> Plan:
    daemon = Daemon(task.snapshot.pid)
    given = task.module.params["config"]
    path = daemon.config or given
    if path is None:
        raise SupervisorError(
            "config_unknown",
            "The configuration that supervisord reads is unknown: its process does not show it "
            "here. Fix: give 'config', and run the module on the host of supervisord, as its user "
            "or as root (become).",
        )
    if given and os.path.realpath(given) != os.path.realpath(path):
        task.module.warn(
            "supervisord was started with %s; %s is used only for its address." % (path, given)
        )
    return plans.predict(path, task.snapshot, daemon, records.load(task.client.endpoint, daemon))


def _restrict(task: Task, plan: Plan) -> Plan:
    """The part that the options names and groups select. They may name groups that are only on disk,
    or only active."""
    infos = list(plan.wanted.values()) + list(task.snapshot.processes)
    if not task.names and not task.groups:
        return plan
    task.require(
        status.unmatched(infos, task.names, task.groups),
        sorted({status.display_name(info) for info in infos}),
    )
    members: dict[str, set[str]] = {}
    for info in infos:
        members.setdefault(info["group"], set()).add(info["name"])
    return plan.only(lambda group: task.group_selected(group, members.get(group, ())))


def _effects(task: Task, plan: Plan) -> tuple[dict[str, str], dict[str, str]]:
    """The action of the plan for each program, and the state after it ("" if it is removed)."""
    infos = {status.namespec(info): info for info in task.snapshot.processes}
    starting = set(apply.to_start(plan, task.snapshot.processes))
    fresh = set(plan.added) | set(plan.changed)
    did: dict[str, str] = {}
    predicted: dict[str, str] = {}
    for name, config in plan.wanted.items():
        state = DOES_RUN if name in starting else DOES_NOT_RUN
        if config["group"] in fresh:
            info = infos.get(name)
            if info is None:
                did[name] = "added"
            elif actions.needs_stop(info):
                did[name] = "restarted"
            else:
                did[name] = "started" if name in starting else "replaced"
            predicted[name] = state
        elif name in starting:
            did[name], predicted[name] = "started", state
    for name, info in infos.items():
        if info["group"] in plan.removed or (
            info["group"] in plan.changed and name not in plan.wanted
        ):
            did[name], predicted[name] = "removed", ""
    return did, predicted


def _carry_out(task: Task, plan: Plan, full: Plan | None = None) -> Result:
    """Carry out the plan.

    :param full: the plan for all groups, if supervisord has just read its configuration.
    """
    infos = task.snapshot.processes
    did, predicted = _effects(task, plan)
    starting = task.in_order(apply.to_start(plan, infos))
    watch = apply.to_watch(plan, infos)
    task.touched = bool(did)
    refused: dict[str, str] = {}
    try:
        if plan.added or plan.changed or plan.removed or task.start_order.split(starting)[1]:
            blocked, refused = detached(lambda: _change_over(task, plan, starting, watch))
            if blocked is not None:
                outcome, goal = blocked
                total = len(did) if goal == "stopped" else len(watch)
                return task.finish(did, predicted, outcome, goal, total, plan)
    except SupervisorError as error:
        if error.cause != CAUSE:
            raise
        return task.unanswered(did, predicted, error, plan)
    fresh = {*plan.added, *plan.changed}
    rest = [name for name in starting if name.split(":", 1)[0] not in fresh]
    if task.start_order.split(starting)[1]:
        # the answers of servers have a time of their own
        task.deadline = actions.Deadline(task.module.params["wait_timeout"])
    outcome = actions.start(
        task.client, rest, watch, task.deadline, task.min_uptime, refused=refused
    )
    if full is not None:
        _remember(task, full, plan, outcome.infos)
    return task.finish(did, predicted, outcome, "RUNNING", len(watch), plan)


def _change_over(
    task: Task, plan: Plan, starting: list[str], watch: list[str]
) -> tuple[tuple[Outcome, str] | None, dict[str, str]]:
    """Change over the programs that start first, wait for the servers, and change over the others,
    which run until then.

    :returns: the outcome that ended it early, and what was waited for, or None; and the programs
        that supervisord refuses to start, each with the reason.
    :raises SupervisorError: a server does not answer, or supervisord refuses a change.
    """
    client, order, deadline = task.client, task.start_order, task.deadline
    infos = task.snapshot.processes
    refused: dict[str, str] = {}
    fresh = {*plan.added, *plan.changed}
    for last in (False, True):
        names = order.split(starting)[last]
        if last and names:
            outcome = order.wait(client, order.split(watch)[0], names)
            if outcome is not None:
                return (outcome, "RUNNING"), refused
            infos = client.processes()
            deadline = actions.Deadline(task.module.params["wait_timeout"])
        part = plan.only(order.is_last if last else lambda group: not order.is_last(group))
        blocked, more = apply.change_over(client, part, names, infos, task.order, deadline)
        refused.update(more)
        if blocked is not None:
            return (blocked, "stopped"), refused
        rest = [name for name in names if name.split(":", 1)[0] not in fresh]
        if order.last and rest:
            start_now(client, rest)
    return None, refused


def _remember(task: Task, full: Plan, plan: Plan, infos: list[dict[str, t.Any]]) -> None:
    """Write the record of the active configuration, if the same one was read here."""
    if full.groups is None:
        return
    endpoint = task.client.endpoint
    data = records.new_record(
        endpoint, Daemon(task.snapshot.pid), full.groups, plan.left_out, infos
    )
    if data is None:
        return
    in_force = {info["group"] for info in infos if info["group"] not in plan.left_out}
    read = {name for name, config in full.wanted.items() if config["group"] in in_force}
    if read == {status.namespec(info) for info in infos if info["group"] in in_force}:
        records.save(endpoint, data)
