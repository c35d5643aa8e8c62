# SPDX-License-Identifier: GPL-3.0-or-later
"""A module is killed, with all that it started, while programs are stopped to be replaced: they run
soon all the same."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.detached import (
    StepKilledError,
    detached,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import apply
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.actions import (
    Deadline,
    Order,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.plan import Plan
from helpers.run_module import PROGRAM as RUN_MODULE
from helpers.run_module import run_module
from helpers.supervisord_host import BASE, Supervisord, until

STOPS_IN = 2  # seconds
SLOW = (
    "/bin/sh -c 'trap \"sleep %d; exit 0\" TERM; echo ready; while :; do sleep 0.1; done'"
    % STOPS_IN
)
PROGRAM = "[program:%s]\ncommand=%s\npriority=%d\nstartsecs=0\nenvironment=ROUND=%d\nstdout_logfile=%%(here)s/%s.out\n"
LEVELS = {"first": 100, "second": 200, "beside": 200, "third": 300}


def programs(number):
    return "".join(PROGRAM % (name, SLOW, level, number, name) for name, level in LEVELS.items())


def until_ready(host):
    """Wait until all programs stop slowly."""
    logs = [host.folder / (name + ".out") for name in LEVELS]
    until(lambda: all(log.exists() and log.read_text() for log in logs), "the programs")


@pytest.fixture(name="host")
def a_supervisord():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        host = Supervisord(folder, programs(1)).start()
        until_ready(host)
        yield host
        host.stop()


def children(pid):
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if int(Path("/proc/%s/stat" % name).read_text().rpartition(")")[2].split()[1]) == pid:
                yield int(name)
                yield from children(int(name))


@contextlib.contextmanager
def killed(name, **arguments):
    """Run a module in the background; at the end of the block kill it, its process group and all
    that it started."""
    process = subprocess.Popen(
        [*RUN_MODULE, name],
        text=True,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    process.stdin.write(
        json.dumps({"ANSIBLE_MODULE_ARGS": dict(arguments, _ansible_remote_tmp="/tmp")})
    )
    process.stdin.close()
    try:
        yield
    finally:
        started = list(children(process.pid))
        os.killpg(process.pid, signal.SIGKILL)
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # nothing that goes on keeps the output open, for which Ansible would wait
        began = time.monotonic()
        assert process.stdout.read() == "" and time.monotonic() - began < STOPS_IN / 2
        assert process.wait() == -signal.SIGKILL


def rounds(host):
    """{name: with which configuration it runs}, of those that run."""
    found = {}
    for info in host.infos():
        if info["statename"] == "RUNNING":
            environment = Path("/proc/%d/environ" % info["pid"]).read_text().split("\0")
            found[info["name"]] = next(
                (int(line[6:]) for line in environment if line.startswith("ROUND=")), 0
            )
    return found


@pytest.mark.parametrize("level", ["first", "second", "third"])
def test_applied(host, level):
    host.configure(programs(2))
    with killed("supervisor_program", socket=str(host.socket), state="applied"):
        until(lambda: host.states()[level + ":" + level] == "STOPPING", level)
    assert level not in rounds(host)
    until(lambda: rounds(host) == dict.fromkeys(LEVELS, 2), "the new configuration")


@pytest.mark.nightly
def test_run_again_at_once_with_another_configuration(host):
    host.configure(programs(2))
    with killed("supervisor_program", socket=str(host.socket), state="applied"):
        until(lambda: host.states()["second:second"] == "STOPPING", "the second part")
    host.configure(programs(3))
    answer = host.program("applied")
    assert not answer["failed"], answer
    time.sleep(STOPS_IN)
    assert rounds(host) == dict.fromkeys(LEVELS, 3)


def test_restarted(host):
    before = host.pids()
    with killed("supervisor_program", socket=str(host.socket), state="restarted", names=["all"]):
        until(lambda: host.states()["first:first"] == "STOPPING", "the first program")
    until(lambda: len(rounds(host)) == len(LEVELS), "the restart")
    assert not set(before.values()) & set(host.pids().values())


def test_daemon_restarted():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        host = Supervisord(folder)
        daemon = "[swf-testbed]\nsupervisord=%s\n" % (Path(sys.executable).parent / "supervisord")
        text = BASE.replace("{supervisord}", "") + programs(1) + daemon
        host.conf.write_text(text)
        before = run_module("supervisor_daemon", {"config": str(host.conf)})["pid"]
        try:
            until_ready(host)
            host.conf.write_text(text.replace("identifier=test", "identifier=other"))
            with killed("supervisor_daemon", config=str(host.conf)):
                # it takes no calls then
                until(
                    lambda: "waiting for" in (host.folder / "supervisord.log").read_text(),
                    "the end of the former daemon",
                )

            def serves():
                with contextlib.suppress(SupervisorError):
                    return host.client.call("supervisor.getPID") != before and len(
                        rounds(host)
                    ) == len(LEVELS)

            until(serves, "the new daemon")
        finally:
            run_module("supervisor_daemon", {"config": str(host.conf), "state": "stopped"})


class Meddler(Client):
    """Another run does something right before groups are replaced, the first time."""

    def __init__(self, endpoint, *calls):
        super().__init__(endpoint)
        self.calls = list(calls)

    def multicall(self, calls):
        if self.calls and any(call[0] == "supervisor.removeProcessGroup" for call in calls):
            meddling, self.calls = self.calls, []
            super().multicall(meddling)
        return super().multicall(calls)


@pytest.mark.parametrize(
    "meddling",
    [
        [("supervisor.startProcess", "second:second", False)],
        [("supervisor.removeProcessGroup", "second")],
        [("supervisor.removeProcessGroup", "second"), ("supervisor.addProcessGroup", "second")],
        [
            ("supervisor.removeProcessGroup", "second"),
            ("supervisor.addProcessGroup", "second"),
            ("supervisor.startProcess", "second:second", False),
        ],
    ],
)
def test_another_run_works_on_the_same_groups(host, meddling):
    host.configure(programs(2))
    host.client.call("supervisor.reloadConfig")
    wanted = {
        name: {"group": name.split(":", maxsplit=1)[0]}
        for name in ("second:second", "beside:beside")
    }
    plan = Plan(changed=["second", "beside"], wanted=wanted)
    blocked, refused = apply.change_over(
        Meddler(host.client.endpoint, *meddling),
        plan,
        list(wanted),
        host.infos(),
        Order([]),
        Deadline(30),
    )
    assert blocked is None and not refused
    until(
        lambda: rounds(host) == {"first": 1, "second": 2, "beside": 2, "third": 1},
        "the new configuration",
    )
    assert (host.folder / "supervisord.log").read_text().count("stopped: beside") == 1


def test_a_detached_step():
    here = os.getpid()
    assert detached(
        lambda: {"pid": os.getpid() != here, "session": os.getsid(0) != os.getsid(here)}
    ) == {"pid": True, "session": True}

    def fails():
        raise SupervisorError("died", "why")

    with pytest.raises(SupervisorError) as raised:
        detached(fails)
    assert (raised.value.cause, raised.value.message, str(raised.value)) == ("died", "why", "why")
    with pytest.raises(FileNotFoundError, match="'/no/such/file'"):
        detached(lambda: open("/no/such/file").close())
    with pytest.raises(StepKilledError):
        detached(lambda: os.kill(os.getpid(), signal.SIGKILL))
