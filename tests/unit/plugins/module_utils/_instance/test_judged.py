# SPDX-License-Identifier: GPL-3.0-or-later
"""The judgement of a central monitor on the agents of an instance: real processes, and a real HTTP
server with the summary."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import threading

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.pipeline import judged

COMPONENTS = [
    {"name": "data-agent", "role": "agent"},
    {"name": "monitor", "role": "monitor"},
]


@pytest.fixture(name="agent")
def a_process_of_an_agent():
    environment = {"SWF_NAMESPACE": "alice", "SWF_INSTANCE": "swf", "PATH": os.environ["PATH"]}
    with subprocess.Popen(["sleep", "60"], env=environment) as process:
        yield process.pid
        process.kill()


@pytest.fixture(name="monitor")
def the_summary_of_a_monitor():
    """Its address, and the list of its agents."""
    agents: list[dict] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"stf": {}, "agents": agents}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "http://127.0.0.1:%d/api/summary/" % server.server_port, agents
        server.shutdown()


def entry(process, **other):
    return {
        "instance_name": "data@swf.me." + socket.gethostname(),
        "namespace": "alice",
        "status": "OK",
        "alive": True,
        "pid": process,
        "seconds_since_heartbeat": 1.0,
        **other,
    }


def processes(pid):
    return [
        {"name": "data-agent", "state": "RUNNING", "pid": pid},
        {"name": "other", "state": "RUNNING", "pid": 1},
    ]


def judge(monitor, pid):
    return judged(monitor[0], None, "", processes(pid), COMPONENTS)


def test_an_agent_that_was_heard(monitor, agent):
    monitor[1].append(entry(agent))
    judgement, problems = judge(monitor, agent)
    assert problems == []
    assert judgement == (monitor[0], 1, 1, ["alice"])


def test_others_do_not_matter(monitor, agent):
    others = {"instance_name": "data@elsewhere", "namespace": "lab", "alive": False, "pid": 1}
    monitor[1].extend([entry(agent), entry(agent, **others)])
    assert judge(monitor, agent)[1] == []


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"namespace": "lab"}, "the monitor has not heard from data-agent"),
        ({"pid": 1}, "the monitor has not heard from data-agent"),
        ({"alive": False, "seconds_since_heartbeat": 90.0}, "has not heard from it for 90 s"),
        ({"status": "WARNING"}, "reports that it is unhealthy: WARNING"),
    ],
)
def test_an_agent_with_a_problem(monitor, agent, changes, cause):
    monitor[1].append(entry(agent, **changes))
    judgement, (problem,) = judge(monitor, agent)
    assert judgement.heard == 0
    assert cause in problem


def test_a_monitor_that_does_not_answer(agent):
    judgement, (problem,) = judged("http://127.0.0.1:1/", None, "", processes(agent), COMPONENTS)
    assert (judgement.agents, judgement.heard) == (1, 0)
    assert "the monitor's summary is unknown" in problem


def test_without_agents(monitor):
    assert judged(monitor[0], None, "", [], COMPONENTS) == (None, [])
