# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts, stops, restarts and signals programs: one call for all of them, then queries until all
are in the wanted state."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import errors, status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import (
    Call,
    Client,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import RpcFault
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.wait import (
    Outcome,
    wait,
)

_SPAWN_ERROR = 50  # the first try failed; supervisord tries again, so this is not the end

Info = dict[str, t.Any]


class Deadline:
    """The rest of the module's wait_timeout, which all steps of a call share."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self._until - time.monotonic())


def needs_start(info: Info) -> bool:
    """Whether a program that should run has to be started.

    One that exited with an expected code has done its work. One in BACKOFF is started at once,
    without supervisord's delay before its next try.
    """
    if info["state"] == status.EXITED:
        return bool(info["spawnerr"])
    return info["state"] not in (status.RUNNING, status.STARTING)


def needs_stop(info: Info) -> bool:
    return info["state"] in status.ACTIVE + (status.STOPPING,)


class Order:
    """supervisord's order of programs: the group's priority, then the program's."""

    def __init__(self, config: t.Sequence[t.Mapping[str, t.Any]] | None) -> None:
        self._priority = {
            status.namespec(item): (item["group_prio"], item["process_prio"], item["name"])
            for item in config or ()
        }

    def sorted(self, names: t.Iterable[str]) -> list[str]:
        return sorted(names, key=lambda name: self._priority.get(name, (999, 999, name)))


def start(
    client: Client,
    names: t.Sequence[str],
    watch: t.Iterable[str],
    deadline: Deadline,
    min_uptime: float,
    first: list[Info] | None = None,
    refused: t.Mapping[str, str] | None = None,
) -> Outcome:
    """Start programs and wait until they and those in watch are RUNNING.

    :param names: of programs to start, group:name, in order. A STOPPING one is started when it has
        stopped.
    :param refused: programs that supervisord has already refused to start.
    """
    waiting = list(names)

    def nudge(infos: list[Info]) -> tuple[bool, dict[str, str]]:
        state = {status.namespec(info): info["state"] for info in infos}
        ready = [name for name in waiting if state.get(name) != status.STOPPING]
        calls: list[Call] = []
        for name in ready:
            waiting.remove(name)
            if state.get(name) == status.BACKOFF:
                calls.append(("supervisor.stopProcess", name, False))
            calls.append(("supervisor.startProcess", name, False))
        failed = dict(refused or {}, **not_started(client.multicall(calls), calls))
        return bool(calls), failed

    wanted = dict.fromkeys([*names, *watch], "running")
    return wait(client, wanted, deadline.left, min_uptime, first=first, nudge=nudge)


def stop(
    client: Client, names: t.Sequence[str], deadline: Deadline, first: list[Info] | None = None
) -> Outcome:
    """Stop programs and wait until none of them has a process.

    A program that supervisord restarts in between is stopped again.
    """

    def nudge(infos: list[Info]) -> tuple[bool, dict[str, str]]:
        state = {status.namespec(info): info["state"] for info in infos}
        calls: list[Call] = [
            ("supervisor.stopProcess", name, False)
            for name in names
            if state.get(name) in status.ACTIVE
        ]
        refused = _refused(client.multicall(calls), calls, (errors.NOT_RUNNING,))
        return bool(calls), refused

    return wait(client, dict.fromkeys(names, "stopped"), deadline.left, first=first, nudge=nudge)


def signal(client: Client, names: t.Sequence[str], number: int) -> dict[str, str]:
    """Send a signal to programs; return those that supervisord could not signal, with the
    reasons."""
    calls: list[Call] = [("supervisor.signalProcess", name, str(number)) for name in names]
    return _refused(client.multicall(calls), calls, ())


def not_started(answers: list[t.Any], calls: list[Call]) -> dict[str, str]:
    return _refused(answers, calls, (errors.ALREADY_STARTED, errors.NOT_RUNNING, _SPAWN_ERROR))


def _refused(answers: list[t.Any], calls: list[Call], harmless: t.Container[int]) -> dict[str, str]:
    return {
        call[1]: "supervisord reports " + answer.text
        for call, answer in zip(calls, answers)
        if isinstance(answer, RpcFault) and answer.code not in harmless
    }
