# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners and agents start after the monitor answers: a real supervisord, and a real HTTP server
that supervisord starts, too."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

from helpers.ports import free_port
from helpers.run_module import run_module
from helpers.supervisord_host import BASE, Supervisord, until

EXECUTABLE = str(Path(sys.executable).parent / "supervisord")
COMPONENTS = [
    {"name": "broker", "role": "broker"},
    {"name": "monitor", "role": "monitor"},
    {"name": "listener", "role": "listener"},
    {"name": "agent", "role": "agent"},
]
# answers after a while, and writes down when
MONITOR = """
import http.server, sys, time
folder, delay, port, status = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
time.sleep(delay)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(folder + "/asked", "a") as stream:
            stream.write("x")
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_arguments):
        pass
server = http.server.HTTPServer(("127.0.0.1", port), Answer)
with open(folder + "/times", "a") as stream:
    stream.write("monitor answers %f\\n" % time.time())
server.serve_forever()
"""
# writes down when it starts and when it ends
PROGRAM = """
import signal, sys, time
folder, name, release = sys.argv[1:]
def note(what):
    with open(folder + "/times", "a") as stream:
        stream.write("%s-%s %s %f\\n" % (name, release, what, time.time()))
def end(*_arguments):
    note("ends")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("starts")
signal.pause()
"""


class Lab:
    """A host with a broker, a monitor, a listener and an agent."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.port = free_port()
        self.host = Supervisord(folder)
        for name, text in (("monitor.py", MONITOR), ("program.py", PROGRAM)):
            (self.folder / name).write_text(text)

    def programs(self, release="1", delay=1.0, status=200, monitor=None, without=()):
        run = "%s %s/program.py %s {name} %s" % (sys.executable, self.folder, self.folder, release)
        commands = {
            "agent": (1, run.format(name="agent")),
            "listener": (300, run.format(name="listener")),
            "broker": (100, run.format(name="broker")),
            "monitor": (
                200,
                monitor
                or "%s %s/monitor.py %s %g %d %d"
                % (sys.executable, self.folder, self.folder, delay, self.port, status),
            ),
        }
        return "".join(
            "[program:%s]\ncommand=%s\npriority=%d\nstartsecs=0\nenvironment=RELEASE=%s\n"
            "startretries=1\n" % (name, command, priority, release)
            for name, (priority, command) in commands.items()
            if name not in without
        )

    def until_started(self, release="1"):
        """Wait for the first lines of the programs that start last."""
        wanted = {"%s-%s starts" % (name, release) for name in ("agent", "listener")}
        until(lambda: wanted <= set(self.times()), "the start of agent and listener")

    @property
    def url(self):
        return "http://127.0.0.1:%d/" % self.port

    def order(self, **given):
        return {"url": self.url, "components": COMPONENTS, "timeout": 20, **given}

    def applied(self, order=None, **given):
        return self.host.program(
            "applied", start_order=order or self.order(), wait_timeout=20, **given
        )

    def times(self):
        """{"agent-1 starts": seconds}; of the last time."""
        path = self.folder / "times"
        lines = path.read_text().splitlines() if path.exists() else []
        return {
            text: float(moment) for text, _space, moment in (li.rpartition(" ") for li in lines)
        }

    def asked(self):
        return (self.folder / "asked").exists()


@pytest.fixture(name="lab")
def of_one_host():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        lab = Lab(folder)
        yield lab
        lab.host.stop()


@pytest.fixture(name="deployed")
def running(lab):
    lab.host.start()
    lab.host.configure(lab.programs())
    result = lab.applied()
    assert not result.get("failed"), result
    lab.until_started()
    (lab.folder / "asked").unlink()
    return lab


def test_deployment(deployed):
    times = deployed.times()
    # its priority is the first of all
    assert times["agent-1 starts"] > times["monitor answers"]
    assert times["listener-1 starts"] > times["monitor answers"] > times["broker-1 starts"]


def test_second_run_asks_nobody(deployed):
    result = deployed.applied()
    assert not result["changed"] and not deployed.asked()


# seconds until the new monitor answers
DELAY = 4


def test_upgrade_stops_the_agents_when_the_new_monitor_answers(deployed):
    deployed.host.configure(deployed.programs(release="2", delay=DELAY))
    result = deployed.applied()
    assert not result.get("failed") and set(result["actions"].values()) == {"restarted"}, result
    deployed.until_started("2")
    times = deployed.times()
    for name in ("agent", "listener"):
        assert times[name + "-1 ends"] > times["monitor answers"]
        # it does not wait for the monitor while it is stopped
        assert times[name + "-2 starts"] - times[name + "-1 ends"] < DELAY
    assert times["broker-1 ends"] < times["monitor answers"] - 1


def test_a_monitor_that_does_not_answer_leaves_the_agents_as_they_are(deployed):
    before = deployed.host.pids()
    deployed.host.configure(deployed.programs(release="2", delay=1000))
    result = deployed.applied(deployed.order(timeout=1))
    assert result["failed"] and result["cause"] == "not_answered", result
    assert result["msg"].startswith(
        "monitor did not answer within 1 s, so that these programs were not started or replaced: "
        "agent, listener. Evidence: GET %s: no connection: " % deployed.url
    )
    assert "Fix: start monitor on its host, or correct its address" in result["msg"]
    assert [item["name"] for item in result["failures"]] == ["monitor"]
    assert result["actions"] == {"broker": "restarted", "monitor": "restarted"}
    after = deployed.host.pids()
    assert {name for name in before if before[name] == after[name]} == {
        "agent:agent",
        "listener:listener",
    }
    # the rollback
    deployed.host.configure(deployed.programs())
    result = deployed.applied()
    assert not result.get("failed") and sorted(result["actions"]) == ["broker", "monitor"]


def test_a_monitor_that_ends_is_reported_at_once(lab):
    lab.host.start()
    lab.host.configure(lab.programs(monitor="sh -c 'echo no table x; exit 7'").replace(
        "[program:monitor]\n", "[program:monitor]\nautorestart=true\n"
    ).replace("priority=200\nstartsecs=0", "priority=200\nstartsecs=2"))  # fmt: skip
    began = time.monotonic()
    result = lab.applied(lab.order(timeout=60))
    assert result["failed"] and "monitor is FATAL" in result["msg"], result
    assert time.monotonic() - began < 30
    assert "no table x" in str(result["failures"])
    assert "agent:agent" not in lab.host.states()


@pytest.mark.parametrize(
    "status,probe,answers",
    [
        (200, {}, True),
        (404, {}, False),
        (404, {"status": 404}, True),
        # whether the listener is subscribed shows after its start
        (500, {"conditions": [{"path": "subscribed", "equals": True}]}, True),
        (502, {"conditions": [{"path": "subscribed", "equals": True}]}, False),
    ],
)
def test_probes_of_a_monitor(lab, status, probe, answers):
    lab.host.start()
    lab.host.configure(lab.programs(status=status, delay=0))
    probes = [
        {"name": "page", "component": "monitor", "url": lab.url, **probe},
        {"name": "other", "component": "agent", "url": "http://127.0.0.1:1/"},
    ]
    result = lab.applied(lab.order(url="", probes=probes, timeout=2))
    assert (result.get("cause") != "not_answered") == answers, result
    if not answers:
        assert "HTTP %d" % status in result["msg"]
    assert lab.host.states().get("agent:agent") == ("RUNNING" if answers else None)


def test_health_page_that_reports_missing_agents(lab):
    lab.host.start()
    lab.host.configure(lab.programs(status=503, delay=0))
    assert not lab.applied().get("failed")


def test_the_monitor_may_take_longer_than_others(lab):
    lab.host.start()
    lab.host.configure(lab.programs(delay=2))
    slow = [dict(item, start_timeout=20) for item in COMPONENTS]
    assert not lab.applied(lab.order(components=slow, timeout=0)).get("failed")


def test_host_of_agents(lab):
    """The monitor is on another host."""
    lab.host.start()
    lab.host.configure(lab.programs(without=("broker", "monitor", "listener")))
    listed = {"name": "agents", "component": "agent", "url": lab.url, "agents": {"path": ""}}
    result = lab.applied(lab.order(timeout=1, url="", probes=[listed]))
    assert result["cause"] == "not_answered" and result["failures"] == [], result
    assert result["actions"] == {}
    assert lab.host.states() == {}


def test_start(deployed):
    """playbooks/start.yml, after a stop of the programs."""
    assert deployed.host.program("stopped", ["all"])["changed"]
    (deployed.folder / "times").unlink()
    result = deployed.host.program("started", ["all"], start_order=deployed.order())
    assert sorted(result["actions"]) == ["agent", "broker", "listener", "monitor"], result
    deployed.until_started()
    times = deployed.times()
    assert times["agent-1 starts"] > times["monitor answers"]


def test_start_without_the_monitor(deployed):
    assert deployed.host.program("stopped", ["agent", "monitor"])["changed"]
    result = deployed.host.program("started", ["agent"], start_order=deployed.order(timeout=0))
    assert result["cause"] == "not_answered" and result["actions"] == {}, result
    assert deployed.host.states()["agent:agent"] == "STOPPED"


def test_no_order_without_a_page_and_probes(lab):
    lab.host.start()
    lab.host.configure(lab.programs(delay=1000))
    assert not lab.applied(lab.order(url="")).get("failed")


def test_a_killed_module_leaves_no_agent_behind(lab):
    lab.host.start()
    lab.host.configure(lab.programs(delay=3))
    child = os.fork()
    if child == 0:
        os.setsid()
        lab.applied()
        os._exit(0)
    until((lab.folder / "times").exists, "the start of the broker")
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    lab.until_started()


def test_new_daemon(lab):
    """A new supervisord starts all programs; those that wait are stopped at once."""
    conf = BASE.replace("{supervisord}", "") + "[swf-testbed]\nsupervisord=%s\n" % EXECUTABLE
    lab.host.conf.write_text(conf + lab.programs(delay=2))
    options = {"config": str(lab.host.conf), "timeout": 30}
    try:
        result = run_module("supervisor_daemon", dict(options, start_order=lab.order()))
        assert result["pid"], result
        states = lab.host.states()
        assert states["agent:agent"] == states["listener:listener"] == "STOPPED"
        assert states["monitor:monitor"] == "RUNNING"
        result = lab.applied()
        assert result["actions"] == {"agent": "started", "listener": "started"}, result
        lab.until_started()
        times = lab.times()
        assert times["agent-1 starts"] > times["monitor answers"]
        again = run_module("supervisor_daemon", dict(options, start_order=lab.order()))
        assert not again["changed"] and lab.host.states()["agent:agent"] == "RUNNING"
    finally:
        run_module("supervisor_daemon", dict(options, state="stopped"))
