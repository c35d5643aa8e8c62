# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds, replaces and removes groups of programs, and leaves those that do not differ alone."""

from __future__ import annotations

import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import errors, status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.actions import (
    Deadline,
    Order,
    needs_start,
    needs_stop,
    not_started,
    stop,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import (
    Call,
    Client,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    RpcFault,
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.plan import (
    Plan,
    refused,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.wait import Outcome


def reread(client: Client) -> list[list[str]]:
    """Let supervisord read its configuration; the names of the groups that are added, changed and
    removed.

    :raises SupervisorError: supervisord refuses the configuration; nothing has changed then.
    """
    answer = client.multicall([("supervisor.reloadConfig",)])[0]
    if isinstance(answer, RpcFault):
        if answer.code == errors.CANT_REREAD:
            raise refused(answer.text.split(": ", 1)[-1])
        raise answer
    return answer[0]


def to_start(plan: Plan, infos: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """The programs to start after the plan is carried out.

    Those with autostart, unless they run or have done their work; and, in groups that are replaced,
    those that run now.
    """
    reported = {status.namespec(info): info for info in infos}
    fresh = set(plan.added) | set(plan.changed)
    names = []
    for name, config in plan.wanted.items():
        info = reported.get(name)
        if config["group"] in fresh:
            if config["autostart"] or (info is not None and needs_stop(t.cast(t.Any, info))):
                names.append(name)
        elif info is not None and config["autostart"] and needs_start(t.cast(t.Any, info)):
            names.append(name)
    return names


def to_watch(plan: Plan, infos: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """The programs that must be RUNNING in the end, started or not."""
    running = {
        status.namespec(info)
        for info in infos
        if info["state"] in (status.STARTING, status.RUNNING)
    }
    return [name for name, config in plan.wanted.items() if config["autostart"] or name in running]


def waves(plan: Plan) -> list[Plan]:
    """The plan in parts, by the priority of the groups; the first part has all removals.

    A part is stopped, replaced and started before the next one: services do not stop together with
    all their users, and never is everything down at once.
    """
    priority = {config["group"]: config.get("group_prio", 999) for config in plan.wanted.values()}
    levels = sorted({priority.get(name, 999) for name in plan.changed + plan.added})
    parts: list[Plan] = []
    for level in levels or [999]:
        parts.append(
            Plan(
                [name for name in plan.added if priority.get(name, 999) == level],
                [name for name in plan.changed if priority.get(name, 999) == level],
                [] if parts else plan.removed,
            )
        )
    return parts


def change_over(
    client: Client,
    plan: Plan,
    starting: t.Sequence[str],
    infos: list[dict[str, t.Any]],
    order: Order,
    deadline: Deadline,
) -> tuple[Outcome | None, dict[str, str]]:
    """Stop, replace and start the groups of the plan, part by part.

    :param starting: the programs to start, in order.
    :param infos: the last look at all programs.
    :returns: the outcome of a failed stop, or None; and the programs that supervisord refuses to
        start, each with the reason.
    """
    refused: dict[str, str] = {}
    left = waves(plan) if plan.added or plan.changed or plan.removed else []
    while left:
        part = left.pop(0)
        blocked = stop_groups(client, part, infos, order, deadline)
        if blocked is not None:
            return blocked, refused
        coming = {*part.added, *part.changed}
        names = [name for name in starting if name.split(":", 1)[0] in coming]
        again, more_refused = replace_groups(client, part, names)
        refused.update(more_refused)
        infos = client.processes()
        if again:
            left.insert(0, part.only(again.__contains__))
    return None, refused


def stop_groups(
    client: Client, plan: Plan, infos: list[dict[str, t.Any]], order: Order, deadline: Deadline
) -> Outcome | None:
    """Stop the programs of changed and removed groups; return the outcome of a failure, or None."""
    going = {*plan.changed, *plan.removed}
    stopping = [
        status.namespec(info) for info in infos if info["group"] in going and needs_stop(info)
    ]
    if not stopping:
        return None
    outcome = stop(client, order.sorted(stopping)[::-1], deadline, first=infos)
    return outcome if outcome.reasons else None


def replace_groups(
    client: Client, plan: Plan, starting: t.Sequence[str]
) -> tuple[set[str], dict[str, str]]:
    """Remove and add groups and start their programs, all in one call.

    :param starting: programs of the added groups, in order. supervisord would start those with
        autostart by itself, but later, and an early failure would look like a program that has not
        started yet.
    :returns: the groups that run again, because another run, perhaps an interrupted one, has just
        started them; and the programs that supervisord refuses to start, each with the reason.
    :raises SupervisorError: supervisord could not remove or add a group.
    """
    again: set[str] = set()
    calls: list[Call] = [
        ("supervisor.removeProcessGroup", name) for name in plan.removed + plan.changed
    ]
    calls += [("supervisor.addProcessGroup", name) for name in plan.changed + plan.added]
    groups = len(calls)
    calls += [("supervisor.startProcess", name, False) for name in starting]
    answers = client.multicall(calls)
    for call, answer in zip(calls[:groups], answers):
        removes = call[0].endswith("removeProcessGroup")
        if removes and isinstance(answer, RpcFault) and answer.code == errors.STILL_RUNNING:
            again.add(call[1])
        elif isinstance(answer, RpcFault) and answer.code != (
            errors.BAD_NAME if removes else errors.ALREADY_ADDED
        ):
            verb = "remove" if removes else "add"
            raise SupervisorError(
                "group_failed",
                "supervisord could not %s the group %s. Evidence: %s; its log has the details. Fix: "
                "correct the cause, then run the task again for the rest."
                % (verb, call[1], answer.text),
            )
    return again, not_started(answers[groups:], calls[groups:])
