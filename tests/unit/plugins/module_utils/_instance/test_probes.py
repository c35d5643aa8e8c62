# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes, against a real HTTP server, with the programs of a real supervisord."""

from __future__ import annotations

import subprocess
import tempfile
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.probes import (
    Probes,
    at,
    belongs,
    equal,
    moment,
    same_name,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.logs import report
from helpers.ports import free_port
from helpers.probed_host import COMPONENTS, HOST, PROGRAMS, Server
from helpers.supervisord_host import Supervisord, until


@pytest.fixture(name="host", scope="module")
def running():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        host = Supervisord(folder, PROGRAMS).start()
        host.until_states(watcher="RUNNING", ear="RUNNING", worker="RUNNING")
        yield host
        host.stop()


@pytest.fixture(name="server")
def answering(host):
    server = Server()
    server.is_well(host.pids()["worker:worker"])
    yield server
    server.stop()


def processes(host):
    snapshot = host.client.snapshot()
    return report(host.client, snapshot, snapshot.processes)


def failed(host, server, probes=None, grows=False, looks=None):
    looks = looks or Probes(probes or server.probes(), COMPONENTS, None)
    return looks.findings(host.client, processes(host), grows)


def one(found):
    ((program, finding),) = found
    return program, finding["cause"], finding["evidence"], finding["fix"]


def test_all_is_well(host, server):
    assert failed(host, server) == []


@pytest.mark.parametrize(
    "answer,cause,evidence",
    [
        ((500, "Internal  error\n"), "HTTP 500 instead of 200", "HTTP 500: Internal error"),
        # a page for the login is not the answer
        ((302, ""), "HTTP 302 instead of 200", "HTTP 302: empty"),
    ],
)
def test_a_page_with_another_status(host, server, answer, cause, evidence):
    server.pages["/api/"] = answer
    program, text, shown, fix = one(failed(host, server))
    pid = host.pids()["watcher:watcher"]
    assert program == "watcher"
    assert text == 'the probe "the API answers" of watcher (pid %d) failed: %s' % (pid, cause)
    assert shown.startswith("GET %s/api/: %s" % (server.url, evidence))
    assert shown.endswith("the end of its log: the monitor said this")
    assert fix.startswith("Look at: tail ") and "watcher" in fix


def test_no_connection(host, server):
    probe = dict(server.probes()[0], url="http://127.0.0.1:%d/" % free_port())
    program, cause, evidence, _fix = one(failed(host, server, [probe]))
    assert program == "watcher" and cause.endswith("failed: no connection")
    assert "Connection refused" in evidence
    probe["url"] = "/etc/passwd"
    assert one(failed(host, server, [probe]))[1].endswith("failed: no usable address")


@pytest.mark.parametrize(
    "body,cause",
    [
        ("<html>", "the answer is not JSON"),
        ({"listener": {"subscribed": False}}, "listener.subscribed is false, and must be true"),
        ({"listener": {}}, "there is no listener.subscribed"),
        ({"listener": {"subscribed": 1}}, "listener.subscribed is 1, and must be true"),
    ],
)
def test_a_listener_that_is_not_subscribed(host, server, body, cause):
    server.pages["/listener"] = 200, body
    program, text, shown, _fix = one(failed(host, server))
    assert program == "ear" and text.endswith("failed: " + cause)
    assert "the listener said this" in shown


def test_a_value_must_be_large_enough(host, server):
    probe = dict(server.probes()[0], conditions=[{"path": "runs", "at_least": 2}])
    for runs, cause in (
        (2, None),
        ([1, 2], None),
        (1, "runs is 1, and must be at least 2"),
        ([], "runs is 0, and must be at least 2"),
        ("many", "runs is neither a number nor a list"),
    ):
        server.pages["/api/"] = 200, {"runs": runs}
        found = failed(host, server, [probe])
        assert one(found)[1].endswith(cause) if cause else found == []


def test_a_counter_must_grow(host, server):
    probe = dict(server.probes()[0], conditions=[{"path": "", "grows": True}])
    server.pages["/api/"] = 200, [1]
    # one look shows nothing
    assert failed(host, server, [probe]) == []
    looks = Probes([probe], COMPONENTS, None)
    for _look in range(2):
        cause = one(failed(host, server, grows=True, looks=looks))[1]
        assert cause.endswith("the answer did not grow: it was 1 at the first look, and is 1")
    server.pages["/api/"] = 200, [1, 2]
    assert failed(host, server, grows=True, looks=looks) == []


@pytest.mark.parametrize(
    "entry,cause",
    [
        ({"seconds_ago": 300}, "worker (pid {pid}) has sent no heartbeat since its start"),
        ({"hostname": "elsewhere"}, "worker (pid {pid}) has sent no heartbeat since its start"),
        ({"pid": 1}, "worker (pid {pid}) has sent no heartbeat since its start"),
        (
            {"status": "WARNING"},
            'worker (data-agent-me-12, pid {pid}) has a problem: status is "WARNING", and must be '
            '"OK"',
        ),
    ],
)
def test_an_agent_that_does_not_work(host, server, entry, cause):
    pid = host.pids()["worker:worker"]
    server.lists(**dict({"pid": pid}, **entry))
    program, text, shown, _fix = one(failed(host, server))
    assert (program, text) == ("worker", cause.format(pid=pid))
    assert "GET %s/agents: " % server.url in shown and "the agent said this" in shown


def test_a_heartbeat_can_be_too_old(host, server, monkeypatch):
    """The agent was heard of since its start, and then no more."""
    monkeypatch.setattr(Probes.__module__ + ".age", lambda _pid: 5000)
    pid = host.pids()["worker:worker"]
    server.lists(pid, 170)
    assert failed(host, server) == []
    server.lists(pid, 400)
    cause = one(failed(host, server))[1]
    # the header Date has no fractions
    assert cause in [
        "worker (data-agent-me-12, pid %d) has sent no heartbeat for %d s; the limit is 180 s"
        % (pid, seconds)
        for seconds in (399, 400)
    ]


def test_the_clock_of_the_server_counts(host, server):
    pid = host.pids()["worker:worker"]
    # it is an hour behind this host, and so are its records
    server.shift = -3600
    server.lists(pid, 3600)
    assert failed(host, server) == []
    server.lists(pid, 3600 + 400)
    assert failed(host, server)


def test_the_list_of_agents(host, server):
    for body, cause in (
        ({"agents": 3}, "the answer is not a list of agents"),
        ("no", "the answer is not JSON"),
    ):
        server.pages["/agents"] = 200, body
        program, text, _evidence, _fix = one(failed(host, server))
        assert program == "watcher" and text.endswith(cause)
    server.pages["/agents"] = 200, [None, {}, {"pid": "x", "hostname": HOST}]
    assert one(failed(host, server))[0] == "worker"


def test_other_programs_can_send_heartbeats(host, server):
    probes = server.probes()
    probes[-1]["agents"]["roles"] = ["listener", "agent"]
    # the worker is listed, and the listener is not
    program, text, _evidence, _fix = one(failed(host, server, probes))
    assert program == "ear" and "has sent no heartbeat since its start" in text
    server.lists(host.pids()["ear:ear"])
    assert one(failed(host, server, probes))[0] == "worker"
    probes[-1]["agents"]["roles"] = ["listener"]
    assert failed(host, server, probes) == []


def test_the_monitor_of_an_agent_may_be_on_another_host(host, server):
    probes = [dict(probe, component="not-here") for probe in server.probes()]
    assert failed(host, server, probes) == []
    server.lists(1)
    assert one(failed(host, server, probes))[0] == "worker"
    server.pages["/agents"] = 500, "broken"
    assert one(failed(host, server, probes))[1].endswith("HTTP 500 instead of 200")


def test_a_program_that_does_not_run_has_no_probe(host, server):
    server.pages = {}
    host.client.call("supervisor.stopProcess", "watcher")
    try:
        looks = Probes(server.probes()[:1], COMPONENTS, None)
        assert failed(host, server, looks=looks) == [] and not looks.asked
    finally:
        host.client.call("supervisor.startProcess", "watcher")


def test_a_process_belongs_to_a_program_that_started_it():
    script = subprocess.Popen(["sh", "-c", "sleep 300 & wait"])
    try:
        children = "/proc/%d/task/%d/children" % (script.pid, script.pid)
        until(lambda: open(children).read().split(), "the child")
        child = int(open(children).read().split()[0])
        assert belongs(child, script.pid) and belongs(script.pid, script.pid)
        assert not belongs(script.pid, child) and not belongs("1", script.pid)
        assert not belongs(2**22 + 1, script.pid) and not belongs(None, script.pid)
    finally:
        subprocess.run(["kill", str(child), str(script.pid)], check=False)
        script.wait()


def test_values():
    answer = {"a": [{"b": 0}], "c": None}
    assert at("a.0.b", answer) == 0 and at("", answer) is answer and at("c", answer) is None
    assert at("a.1.b", answer) is at("a.b", answer) is at("c.d", answer)
    assert equal(1, 1.0) and not equal(1, True) and not equal("1", 1)
    assert moment("1970-01-01T00:00:01Z") == moment("1970-01-01T01:00:01+01:00") == moment(1) == 1
    assert moment("1970-01-01T00:00:01.500000") == 1.5
    for wrong in (None, True, "yesterday"):
        with pytest.raises(ValueError):
            moment(wrong)
    short = HOST.partition(".")[0]
    assert same_name(short.upper()) and same_name(short + ".example.org") and not same_name(None)
    assert time.time() - 5 < moment(time.time())
