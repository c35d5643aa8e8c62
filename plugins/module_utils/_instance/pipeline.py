# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether programs that were just started do their work. A process can be RUNNING and deadlocked.

The monitor's summary shows two things: each agent of this host has sent a
heartbeat since its process started, and has a broker; and files are registered and processed.
"""

from __future__ import annotations

import os
import pwd
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import (
    belongs,
    environ_of,
    ticks_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.health import (
    ask_summary,
)

AGENT = "agent"
# the path of a file: simulator, broker, data agent, monitor, processing agent
FLOW = {"total": "registered", "processed": "processed"}

Summary = Mapping[str, Any]


def on_this_host(name: str) -> bool:
    """Whether an agent of this name runs on this host."""
    return ("." + name.partition("@")[2]).endswith("." + socket.gethostname())


def login_of(pid: int) -> str:
    """The login of a process, as its agent knows it; "" if the process has ended."""
    try:
        uid = os.stat("/proc/%d" % pid).st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class Agent:
    """A process of this host that sends heartbeats to the monitor."""

    def __init__(self, program: str, pid: int) -> None:
        self.program, self.pid = program, pid
        environment = environ_of(pid) or {}
        given = environment.get("SWF_AGENT_NAME")
        self.namespace = environment.get("SWF_NAMESPACE")
        host = socket.gethostname()
        # TYPE@INSTANCE.LOGIN.HOST; in earlier versions TYPE@HOST. The reference packages name an
        # agent after its type, and its program after the same.
        own = ".".join(filter(None, (environment.get("SWF_INSTANCE"), login_of(pid), host)))
        types = (program.partition("-agent")[0], program)
        self.names = (
            (given,)
            if given
            else tuple("%s@%s" % (type_, place) for place in (own, host) for type_ in types)
        )

    def entry(self, summary: Summary) -> Mapping[str, Any] | None:
        """What the monitor knows of this agent, by its name or by its process, in its namespace.

        The monitor of an earlier release does not report the namespace.
        """
        listed = [
            item
            for item in summary["agents"]
            if not self.namespace or item.get("namespace", self.namespace) == self.namespace
        ]
        by_name = [item for item in listed if item["instance_name"] in self.names]
        by_pid = [
            item
            for item in listed
            if belongs(item.get("pid"), self.pid) and on_this_host(item["instance_name"])
        ]
        return next(iter(by_name + by_pid), None)

    def was_heard(self, found: Mapping[str, Any], ticks: int) -> bool:
        """Whether the monitor has a heartbeat of this process, and not only of a previous one.

        The monitor of an earlier release does not report the pid; there the age of the heartbeat
        decides.
        """
        if found.get("pid"):
            # the pid differs if a script started the agent
            return (ticks_of(found["pid"]) or 0) >= ticks
        return found["seconds_since_heartbeat"] <= time.clock_gettime(
            time.CLOCK_BOOTTIME
        ) - ticks / os.sysconf("SC_CLK_TCK")

    def problem(self, summary: Summary) -> str | None:
        """The reason why it counts as not working, or None."""
        found = self.entry(summary)
        name = found["instance_name"] if found else self.names[0]
        ticks = ticks_of(self.pid)
        if ticks is None:
            return "%s (pid %d) ended after its start was reported" % (self.program, self.pid)
        if found is None or not self.was_heard(found, ticks):
            return "the monitor has not heard from %s (%s, pid %d) since its start" % (
                self.program,
                name,
                self.pid,
            )
        if not found.get("alive", True):
            return "%s (%s) is not alive: the monitor has not heard from it for %d s" % (
                self.program,
                name,
                found["seconds_since_heartbeat"],
            )
        if found["status"] != "OK":
            return "%s (%s) reports that it is unhealthy: %s. Check its broker" % (
                self.program,
                name,
                found["status"],
            )
        return None


def agents(
    programs: Mapping[str, Mapping[str, Any]], components: Iterable[Mapping[str, Any]]
) -> list[Agent]:
    """The agents among programs, as supervisor_program returns them: {name: {state, pid}}.

    :param components: ``name`` and ``role`` of the programs of the stack.
    """
    names = {item["name"] for item in components if item["role"] == AGENT}
    return [
        Agent(name, state["pid"])
        for name, state in sorted(programs.items())
        if name in names and state.get("state") == "RUNNING" and state.get("pid")
    ]


class Judgement(NamedTuple):
    """What a monitor that is on no host of the inventory says of the agents of an instance.

    :ivar url: of its summary.
    :ivar heard: the number of agents that it has heard from since their start.
    :ivar namespaces: of the agents of the instance.
    """

    url: str
    agents: int
    heard: int
    namespaces: list[str]


def judged(
    url: str,
    ca_file: str | None,
    token: str,
    processes: Iterable[Mapping[str, Any]],
    components: Iterable[Mapping[str, Any]],
) -> tuple[Judgement | None, list[str]]:
    """(the judgement, the problems) of the agents of an instance; None if none of them runs.

    :param url: of the monitor's summary.
    :param token: the API token of the instance.
    :param processes: as the module supervisor_info returns them.
    """
    mine = agents({item["name"]: item for item in processes}, components)
    if not mine:
        return None, []
    namespaces = sorted({agent.namespace for agent in mine if agent.namespace})
    summary, wrong = ask_summary(url, ca_file, token)
    if summary is None:
        return Judgement(url, len(mine), 0, namespaces), [str(wrong)]
    found = [problem for problem in (agent.problem(summary) for agent in mine) if problem]
    return Judgement(url, len(mine), len(mine) - len(found), namespaces), found


def stalled(before: Summary, now: Summary) -> list[str]:
    """One sentence for each step of a file's way that did not happen between two summaries."""
    return [
        "no file was %s since the start of the programs (%d in total)" % (word, now["stf"][key])
        for key, word in FLOW.items()
        if now["stf"][key] <= before["stf"][key]
    ]
