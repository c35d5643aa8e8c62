# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that programs do their work, against a stand-in for the monitor, whose answers a test
changes; processes are real."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from helpers.probed_host import COMPONENTS, Server, faults, probed_instance
from helpers.run_module import run_module
from helpers.supervisord_host import Supervisord

NAME = "data@" + socket.gethostname()


class Monitor:
    """A stand-in: answers GET /api/health/ and /api/summary/."""

    def __init__(self):
        self.agents = []
        self.health = {"status": "ok"}
        self.token = ""  # with one, it gives no answer without it
        self.redirect_to = ""
        self.seen = []
        self.counts = [10]  # one look after the other; the last one stays
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                given = self.headers["Authorization"]
                outer.seen.append(given)
                if outer.redirect_to:
                    self.send_response(302)
                    self.send_header("Location", outer.redirect_to + self.path)
                    self.end_headers()
                    return
                right = given == "Token " + outer.token or not outer.token
                body = json.dumps(outer.answer(self.path) if right else {}).encode()
                self.send_response(200 if right else 401)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/api/" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path):
        if path == "/api/health/":
            return self.health
        count = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        return {"stf": {"total": count, "processed": count}, "agents": self.agents}

    def heard_of(self, seconds, status="OK"):
        self.agents = [
            {"instance_name": NAME, "status": status, "seconds_since_heartbeat": seconds}
        ]


@pytest.fixture(name="monitor")
def stand_in():
    monitor = Monitor()
    yield monitor
    monitor.server.shutdown()


@pytest.fixture(name="programs")
def a_process():
    process = subprocess.Popen(["sleep", "300"])
    yield {
        "data-agent": {"state": "RUNNING", "pid": process.pid},
        "broker": {"state": "RUNNING", "pid": os.getpid()},
    }
    process.kill()
    process.wait()


def ask(monitor, **options):
    addresses = {
        "url": monitor.url + "health/",
        "summary_url": monitor.url + "summary/",
        "components": [{"name": "data-agent", "role": "agent"}, {"name": "mcp", "role": "agent"}],
    }
    return run_module("testbed_health", dict(addresses, **options))


@pytest.fixture(name="config")
def an_instance(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/api_token").write_text("ab" * 20 + "\n")
    return str(tmp_path / "supervisord.conf")


def test_a_monitor_that_requires_a_login_gets_the_token_of_the_instance(monitor, programs, config):
    monitor.token = "ab" * 20
    monitor.heard_of(0)
    answer = ask(monitor, config=config, programs=programs)
    assert not answer["failed"] and answer["healthy"], answer
    assert monitor.token not in str(answer)
    monitor.token = "cd" * 20
    answer = ask(monitor, config=config, programs=programs)
    assert answer["failed"] and "HTTP 401: the API token is refused" in answer["msg"]
    answer = ask(monitor, programs=programs)
    assert answer["failed"] and "HTTP 401: the API token is missing on this host" in answer["msg"]


def test_another_server_gets_no_token(monitor, config):
    elsewhere = Monitor()
    monitor.redirect_to = elsewhere.url.partition("/api/")[0]
    answer = ask(monitor, config=config)
    elsewhere.server.shutdown()
    assert not answer["failed"]
    assert monitor.seen == ["Token " + "ab" * 20] and elsewhere.seen == [None]


def test_a_monitor_that_shows_no_cause(monitor):
    monitor.health = {"status": "error"}
    answer = ask(monitor)
    assert answer["failed"] and "its cause only to clients with its API token" in answer["msg"]


def silent(*names):
    return {
        "status": "error",
        "database": {"ok": True},
        "listener": {"ok": True},
        "agents": {
            "ok": False,
            "silent": [{"instance_name": name, "seconds_since_heartbeat": 77.7} for name in names],
        },
    }


def test_an_agent_that_is_not_alive_is_not_healthy(monitor, programs):
    monitor.health = silent(NAME)
    answer = ask(monitor)
    assert (
        answer["failed"]
        and "the agent %s is not alive: the monitor has not heard from it for 77 s" % NAME
        in answer["msg"]
    )
    # of another host: what was started here is not at fault, and yet not all is well
    monitor.health = silent("fastmon@elsewhere")
    answer = ask(monitor)
    assert (
        not answer["failed"]
        and not answer["healthy"]
        and "fastmon@elsewhere is not alive" in str(answer["warnings"])
    )
    # one that was taken away from here, where the others are given
    monitor.health = silent("mcp@" + socket.gethostname())
    monitor.heard_of(0)
    answer = ask(monitor, programs=programs)
    assert not answer["failed"] and not answer["healthy"] and "mcp@" in str(answer["warnings"])
    # and a fault of the monitor itself is one
    monitor.health = dict(
        silent("fastmon@elsewhere"), listener={"ok": False, "detail": "no broker"}
    )
    answer = ask(monitor)
    assert answer["failed"] and "no broker" in answer["msg"] and "fastmon" not in answer["msg"]


def test_an_agent_must_have_been_heard_of_since_it_was_started(monitor, programs):
    monitor.heard_of(3600)
    answer = ask(monitor, programs=programs)
    assert answer["failed"] and "has not heard from data-agent (%s, pid" % NAME in answer["msg"], (
        answer
    )
    monitor.agents = []
    assert ask(monitor, programs=programs)["failed"]
    monitor.heard_of(0, "WARNING")
    assert "reports that it is unhealthy" in ask(monitor, programs=programs)["msg"]
    monitor.heard_of(0)
    assert ask(monitor, programs=programs)["healthy"]


def test_it_must_have_been_this_process(monitor, programs):
    """Without a look at any clock, which may have been set: the time of the last heartbeat says
    nothing here."""
    earlier = os.getpid()
    for pid, healthy in (
        (earlier, False),
        (2**22 + 1, False),
        (programs["data-agent"]["pid"], True),
    ):
        monitor.heard_of(0 if not healthy else 3600)
        monitor.agents[0]["pid"] = pid
        assert ask(monitor, programs=programs)["failed"] is not healthy
    # the agent proper, where the program is a script that started it
    child = subprocess.Popen(["sleep", "300"])
    monitor.agents[0]["pid"] = child.pid
    try:
        assert ask(monitor, programs=programs)["healthy"]
    finally:
        child.kill()
        child.wait()


def test_an_agent_that_ended_meanwhile_is_named(monitor):
    process = subprocess.Popen(["true"])
    process.wait()
    monitor.heard_of(0)
    answer = ask(monitor, programs={"data-agent": {"state": "RUNNING", "pid": process.pid}})
    assert answer["failed"] and "ended after its start was reported" in answer["msg"]


def test_a_file_must_have_gone_through(monitor):
    answer = ask(monitor, flow=True)
    assert (
        answer["failed"]
        and "no file was registered since" in answer["msg"]
        and "no file was processed" in answer["msg"]
    )
    monitor.counts = [10, 10, 11]
    assert ask(monitor, flow=True, timeout=30)["healthy"]


def test_without_a_summary_there_is_no_proof(monitor):
    answer = ask(monitor, flow=True, summary_url=monitor.url + "health/")
    assert (
        answer["failed"]
        and "the monitor's summary is unknown: it is not a page of a monitor" in answer["msg"]
    )
    assert ask(monitor, flow=True, summary_url=None)["failed"]


def test_an_agent_has_a_role_and_a_process(monitor, programs):
    """Their names have no meaning."""
    pid = programs["data-agent"]["pid"]
    monitor.agents = [
        {"instance_name": "x@" + socket.gethostname(), "status": "OK", "pid": pid},
    ]
    renamed = {"eater": programs["data-agent"], "an-agent": programs["broker"]}
    components = [{"name": "eater", "role": "agent"}, {"name": "an-agent", "role": "tool"}]
    assert ask(monitor, programs=renamed, components=components)["healthy"]
    monitor.agents[0]["pid"] = 1
    answer = ask(monitor, programs=renamed, components=components)
    assert "has not heard from eater (eater@" in answer["msg"] and "an-agent" not in answer["msg"]


def test_the_log_of_a_part_is_that_of_the_program_with_its_role(monitor):
    monitor.health = {"status": "error", "database": {"ok": False}, "listener": {"ok": False}}
    text = ask(monitor, components=COMPONENTS)["msg"]
    assert "database is unhealthy: no details. Look at: swf-testbed logs watcher" in text
    assert "listener is unhealthy: no details. Look at: swf-testbed logs ear" in text


def test_without_a_question_nothing_is_healthy():
    answer = run_module("testbed_health", {})
    assert not answer["failed"] and not answer["healthy"] and not answer["checked"]
    answer = run_module("testbed_health", {"probes": [{"name": "x"}]})
    assert answer["failed"] and "probes need config" in answer["msg"]


def gate(host, server, check=False, **options):
    """(seconds, answer)"""
    given = {"config": str(host.conf), "probes": server.probes(), "components": COMPONENTS}
    began = time.monotonic()
    answer = run_module("testbed_health", dict(given, **options), check=check)
    return time.monotonic() - began, answer


@pytest.mark.parametrize("number", range(7))
def test_each_fault_of_a_stack_with_probes_is_named(number):
    with probed_instance() as (host, _places, _home, server):
        answer = gate(host, server)[1]
        assert answer["healthy"] and answer["checked"], answer
        what, happens, seen = faults(host, server)[number]
        happens()
        answer = gate(host, server, timeout=0.5)[1]
        assert answer["failed"] and seen in answer["msg"], (what, answer)
        # a prediction
        assert not gate(host, server, check=True)[1]["failed"]


def test_the_gate_waits_for_evidence_as_long_as_the_component_may_take():
    with probed_instance() as (host, _places, _home, server):
        worker = host.pids()["worker:worker"]
        server.lists(1)
        seconds, answer = gate(host, server, timeout=1)
        assert answer["failed"] and 1 <= seconds < 4
        slow = [dict(item, start_timeout=30) for item in COMPONENTS if item["role"] == "agent"]
        components = [*COMPONENTS[:2], *slow]
        threading.Timer(3, server.lists, (worker,)).start()
        seconds, answer = gate(host, server, timeout=1, components=components)
        assert answer["healthy"] and 3 <= seconds < 15, answer
        # the others do not wait as long
        server.pages["/api/"] = 500, "oops"
        seconds, answer = gate(host, server, timeout=1, components=components)
        assert answer["failed"] and seconds < 15


LATE = """
[program:watcher]
command=/bin/sh -c "sleep 2; echo the cause is here; exit 7"
startsecs=0
autorestart=false
redirect_stderr=true

[program:hasty]
command=/bin/sh -c "exit 7"
startsecs=1
startretries=%d
"""


def test_a_program_that_fails_late_does_not_pass():
    """It was RUNNING when its start was reported, and ends before it shows that it works."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        host = Supervisord(folder, LATE.partition("[program:hasty]")[0]).start()
        server = Server()
        try:
            host.until_states(watcher="RUNNING")
            slow = [dict(item, start_timeout=4) for item in COMPONENTS]
            seconds, answer = gate(host, server, timeout=1, components=slow)
            assert answer["failed"] and 4 <= seconds < 8
            assert (
                "watcher is EXITED (Bad exit code 7). Evidence: the end of its log: the cause "
                in (answer["msg"])
            )
        finally:
            server.stop()
            host.stop()


def test_what_supervisord_has_given_up_on_is_not_waited_for():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        host = Supervisord(folder, "[program:hasty]" + LATE.partition("[program:hasty]")[2] % 0)
        host.start()
        server = Server()
        try:
            host.until_states(hasty="FATAL")
            seconds, answer = gate(host, server, timeout=60)
            assert answer["failed"] and "hasty is FATAL" in answer["msg"] and seconds < 10
            host.stop()
            answer = gate(host, server)[1]
            assert answer["failed"] and "supervisord" in answer["msg"]
        finally:
            server.stop()
            host.stop()


def test_counters_grow_after_a_change_alone():
    with probed_instance() as (host, _places, _home, server):
        probe = dict(server.probes()[0], conditions=[{"path": "n", "grows": True}])
        server.pages["/api/"] = 200, {"n": 3}
        assert gate(host, server, probes=[probe])[1]["healthy"]
        answer = gate(host, server, probes=[probe], flow=True, timeout=1)[1]
        assert "n did not grow: it was 3 at the first look, and is 3" in answer["msg"]
        counts = iter(range(1000))
        server.pages["/api/"] = 200, lambda: {"n": next(counts)}
        assert gate(host, server, probes=[probe], flow=True, timeout=30)[1]["healthy"]
