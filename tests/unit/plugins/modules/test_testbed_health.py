# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that programs do their work, against a stand-in for the monitor, whose answers a test
changes; processes are real."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import threading

import pytest

from helpers.run_module import run_module

NAME = "data@" + socket.gethostname()


class Monitor:
    """A stand-in: answers GET /api/health/ and /api/summary/."""

    def __init__(self):
        self.agents = []
        self.health = {"status": "ok"}
        self.counts = [10]  # one look after the other; the last one stays
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(outer.answer(self.path)).encode()
                self.send_response(200)
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
    addresses = {"url": monitor.url + "health/", "summary_url": monitor.url + "summary/"}
    return run_module("testbed_health", dict(addresses, **options))


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
