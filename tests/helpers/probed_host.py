# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of a stack with probes: a real supervisord, and a real HTTP server whose answers a test
changes."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import json
import os
import socket
import tempfile
import threading
from pathlib import Path

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout
from helpers.stand_in_release import stand_in_release
from helpers.supervisord_host import Supervisord

PROGRAMS = """
[program:watcher]
command=/bin/sh -c "echo the monitor said this; exec sleep 1000"
startsecs=0
redirect_stderr=true

[program:ear]
command=/bin/sh -c "echo the listener said this; exec sleep 1000"
startsecs=0
redirect_stderr=true

[program:worker]
command=/bin/sh -c "echo the agent said this; exec sleep 1000"
startsecs=0
redirect_stderr=true
"""
# names that say nothing: the roles count
COMPONENTS = [
    {"name": "watcher", "role": "monitor"},
    {"name": "ear", "role": "listener"},
    {"name": "worker", "role": "agent"},
]
HOST = socket.gethostname()


def stamp(seconds_ago=0.0):
    moment = datetime.datetime.now(datetime.timezone.utc)
    return (moment - datetime.timedelta(seconds=seconds_ago)).isoformat()


class Server:
    """Answers GET: ``pages`` has (status, body) by path; a body that is no text is sent as JSON."""

    def __init__(self):
        self.pages, outer = {}, self
        self.shift = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = outer.pages.get(self.path, (404, "not here"))
                body = body() if callable(body) else body
                self.send_response(status)
                self.send_header("Location", "/login")
                self.end_headers()
                self.wfile.write((body if isinstance(body, str) else json.dumps(body)).encode())

            def date_time_string(self, timestamp=None):
                # the clock of the server
                return super().date_time_string((timestamp or stamp_now()) + outer.shift)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def lists(self, pid, seconds_ago=0.0, status="OK", hostname=HOST):
        """The API lists an agent, as the public testbed names it, and its former process."""
        agent = {"instance_name": "data-agent-me-12", "status": status, "hostname": hostname}
        self.pages["/agents"] = (
            200,
            [
                dict(agent, instance_name="data-agent-me-11", pid=1, last_heartbeat=stamp(9000)),
                dict(agent, pid=pid, last_heartbeat=stamp(seconds_ago)),
            ],
        )

    def probes(self):
        return [
            {"name": "the API answers", "component": "watcher", "url": self.url + "/api/"},
            {
                "name": "the listener is subscribed",
                "component": "ear",
                "url": self.url + "/listener",
                "conditions": [{"path": "listener.subscribed", "equals": True}],
            },
            {
                "name": "agents",
                "component": "watcher",
                "url": self.url + "/agents",
                "agents": {
                    "path": "",
                    "name": "instance_name",
                    "heartbeat": "last_heartbeat",
                    "conditions": [{"path": "status", "equals": "OK"}],
                },
            },
        ]

    def is_well(self, worker):
        """All probes pass. ``worker`` is the pid of the agent."""
        self.pages = {
            "/api/": (200, {"agents": "/agents"}),
            "/listener": (200, {"listener": {"subscribed": True}}),
        }
        self.lists(worker)


def stamp_now():
    return datetime.datetime.now(datetime.timezone.utc).timestamp()


@contextlib.contextmanager
def probed_instance(programs=PROGRAMS, **environment):
    """(supervisord, layout, home, server) of an instance of the login, all of whose probes pass."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        places = layout("swf-testbed", "user", {"HOME": home})
        for name in ("config_dir", "secrets_dir", "run_dir", "log_dir"):
            os.makedirs(places[name], mode=0o700)
        release = stand_in_release(Path(places["root"]), "1")
        Path(places["root"], "current").symlink_to("releases/1")
        host = Supervisord(places["run_dir"], programs, env=dict(environment, HOME=home))
        host.move_to(places)
        with open(host.conf, "a") as conf:
            conf.write("\n[swf-testbed]\nrelease = %s\n" % release)
        host.start()
        server = Server()
        try:
            host.until_states(watcher="RUNNING", ear="RUNNING", worker="RUNNING")
            server.is_well(host.pids()["worker:worker"])
            yield host, places, home, server
        finally:
            server.stop()
            host.stop()


def faults(host, server):
    """(what happens, the way to make it happen, what a report says of it) of a stack."""
    worker = host.pids()["worker:worker"]

    def stop():
        host.client.call("supervisor.stopProcess", "worker")

    return [
        ("an agent stopped", stop, "worker is STOPPED"),
        (
            "a heartbeat too old",
            lambda: server.lists(worker, 9000),
            "worker (pid %d) has sent no heartbeat since its start" % worker,
        ),
        (
            "no broker",
            lambda: server.lists(worker, 0, "WARNING"),
            'worker (data-agent-me-12, pid %d) has a problem: status is "WARNING"' % worker,
        ),
        (
            "listener unsubscribed",
            lambda: server.pages.update({"/listener": (200, {"listener": {"subscribed": False}})}),
            'the probe "the listener is subscribed" of ear (pid %d) failed: listener.subscribed is '
            "false, and must be true" % host.pids()["ear:ear"],
        ),
        ("HTTP 500", lambda: server.pages.update({"/api/": (500, "oops")}), "HTTP 500: oops"),
        (
            "not JSON",
            lambda: server.pages.update({"/agents": (200, "<html>")}),
            "failed: the answer is not JSON",
        ),
        ("no connection", server.stop, "failed: no connection"),
    ]
