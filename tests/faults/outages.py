# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are killed, and connections that nobody closes. Mixed into Faults; each returns
None, or what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from faults.testbed import ROOT

# seconds until a program that was killed does its work again
BACK = 15
KILLED = ("broker", "monitor", "monitor-listener", "data-agent", "processing-agent")


class Outages:
    testbed: object

    def programs_killed(self):
        """Broker, monitor, listener and two agents are killed, each is back within 15 s"""
        problems = []
        for name in KILLED:
            former = self.testbed.pids()
            os.kill(former[name], signal.SIGKILL)
            began = time.monotonic()
            problem = "did not start"
            while problem and time.monotonic() - began < 4 * BACK:
                time.sleep(0.2)
                problem = self.not_back(name, former[name])
            seconds = time.monotonic() - began
            print("      %s: %s" % (name, problem or "%.1f s" % seconds), flush=True)
            if problem or seconds > BACK:
                problems.append("%s: %s" % (name, problem or "%.1f s" % seconds))
            # the next one is killed when all is as it was
            problem = self.testbed.serves()
            if problem:
                return "after %s was killed: %s" % (name, problem)
        return "; ".join(problems) or None

    def not_back(self, name, former):
        """What is missing until a program that was killed does its work: it runs, all is healthy,
        and an agent was heard of."""
        try:
            pid = self.testbed.pids()[name]
            summary = self.asked("/api/summary/")
            agents = {
                agent["instance_name"].partition("@")[0]: agent for agent in summary["agents"]
            }
        except OSError as error:
            return str(error)
        if pid in (0, former):
            return "it does not run"
        agent_type = name.removesuffix("-agent")
        if name.endswith("-agent") and (
            agents.get(agent_type, {}).get("pid") != pid or agents[agent_type]["status"] != "OK"
        ):
            return "the monitor has not heard of it"
        return self.testbed.problem()

    def asked(self, path):
        with urllib.request.urlopen(
            "http://127.0.0.1:%d%s" % (self.testbed.ports["monitor"], path), timeout=5
        ) as response:
            return json.load(response)

    def half_open(self):
        """All connections to a broker are half-open for 90 s (programs of the release, with a
        broker of their own)"""
        python = self.testbed.root / "current/bin/python"
        done = subprocess.run(
            [str(python), str(Path(__file__).with_name("half_open.py"))],
            env=dict(os.environ, PYTHONPATH=str(ROOT / "packages/swf-common-lib/tests")),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = done.stdout.strip().splitlines()
        print("      " + "\n      ".join(lines[-4:]), flush=True)
        return None if done.returncode == 0 else lines[-1]
