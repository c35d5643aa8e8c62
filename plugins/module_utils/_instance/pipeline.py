# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the programs that were just started do their work. A process can be RUNNING and dead
inside.

Two things are looked at, both in the monitor's summary, which needs no token: each agent of this
host was heard of by the monitor since its process started, and has a broker; and files get
registered and processed.
"""

from __future__ import annotations

import os
import socket
import time

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import (
    environ_of,
    ticks_of,
)

SUFFIX = "-agent"
# a file goes from the simulator over the broker to the data agent, to the monitor, and to the
# processing agent
FLOW = {"total": "registered", "processed": "processed"}


class Agent:
    """A process of this host that sends heartbeats to the monitor."""

    def __init__(self, program, pid):
        self.program, self.pid = program, pid
        kind = program[: -len(SUFFIX)]
        self.name = (environ_of(pid) or {}).get("SWF_AGENT_NAME") or "%s@%s" % (
            kind,
            socket.gethostname(),
        )

    def was_heard(self, found, ticks):
        """Whether the monitor has heard of the process that was started, and not only of one before
        it.

        A monitor that does not tell which process it heard of, one of an earlier release, tells how
        long ago that was.
        """
        if found.get("pid"):
            # not the same pid where the agent was started by a script
            return (ticks_of(found["pid"]) or 0) >= ticks
        return found["seconds_since_heartbeat"] <= time.clock_gettime(
            time.CLOCK_BOOTTIME
        ) - ticks / os.sysconf("SC_CLK_TCK")

    def problem(self, summary):
        """What is missing, or None."""
        found = next(
            (item for item in summary["agents"] if item["instance_name"] == self.name), None
        )
        ticks = ticks_of(self.pid)
        if ticks is None:
            return "%s (pid %d) ended after it had been taken for started" % (
                self.program,
                self.pid,
            )
        if found is None or not self.was_heard(found, ticks):
            return "the monitor has not heard of %s (%s, pid %d) since it was started" % (
                self.program,
                self.name,
                self.pid,
            )
        if found["status"] != "OK":
            return "%s (%s) says of itself that it is not well: %s. Its broker is likely away" % (
                self.program,
                self.name,
                found["status"],
            )
        return None


def agents(programs):
    """The agents among programs, as supervisor_program returns them: {name: {state, pid}}."""
    return [
        Agent(name, state["pid"])
        for name, state in sorted(programs.items())
        if name.endswith(SUFFIX) and state.get("state") == "RUNNING" and state.get("pid")
    ]


def stalled(before, now):
    """What of a file's way did not happen between two looks at the summary, as a list of
    sentences."""
    return [
        "no file was %s since the programs were started (%d in all)" % (word, now["stf"][key])
        for key, word in FLOW.items()
        if now["stf"][key] <= before["stf"][key]
    ]
