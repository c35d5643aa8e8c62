# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter of stack bnlnpps that subscribes for the public monitor, with stand-ins of its modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

STACK = yaml.safe_load((Path(__file__).parents[2] / "stacks/bnlnpps.yml").read_text())
(LISTENER,) = (item["content"] for item in STACK["files"] if item["name"] == "monitor_listener.py")

MODULES = {
    "django.py": "def setup():\n    pass\n",
    "stomp.py": """
class Connection:
    def __init__(self, heartbeats):
        self.heartbeats = heartbeats
""",
    "requests.py": """
class RequestException(Exception):
    pass


class Answer:
    def __init__(self, there):
        self.there = there

    def raise_for_status(self):
        if not self.there:
            raise RequestException("503")


def post(url, json, headers, timeout):
    import os
    from json import dumps

    with open("heartbeats", "a") as file:
        file.write(dumps([url, json, headers]) + "\\n")
    return Answer(os.path.exists("monitor"))
""",
    # As the public one: a lost connection has it connect once more, later and in a thread.
    "monitor_app/activemq_connection.py": """
import os
import threading

import stomp


class ActiveMQConnectionManager:
    _should_subscribe = False
    connection = None

    def connect(self):
        if not os.path.exists("broker"):
            return False
        self.connection = stomp.Connection(heartbeats=(5000, 10000))
        with open("connections", "a") as file:
            file.write("%s %s\\n" % (self._should_subscribe, self.connection.heartbeats))
        return True

    def is_connected(self):
        if self.connection and not os.path.exists("broker"):
            self.connection = None
            threading.Timer(0.5, lambda: self.reconnect()).start()
        return self.connection

    def reconnect(self):
        return self.connect()
""",
}


class Listener:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in MODULES.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        text = LISTENER.replace("{{ swf_testbed_instance }}", "bnlnpps")
        for line in ("HEARTBEAT_SECONDS = 30\n", "RETRY_SECONDS = 5\n"):
            assert line in text
            text = text.replace(line, line.split(" = ", maxsplit=1)[0] + " = 0.1\n")
        (folder / "monitor_listener.py").write_text(text.replace("sleep(1 if", "sleep(0.1 if"))
        (folder / "monitor").touch()
        self.program: subprocess.Popen[str] | None = None

    def start(self) -> None:
        environment = {"SWF_MONITOR_URL": "http://monitor.example.org", "SWF_API_TOKEN": "a-token"}
        with (self.folder / "log").open("w") as log:
            self.program = subprocess.Popen(
                [sys.executable, "monitor_listener.py"],
                cwd=self.folder,
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def heartbeat(self) -> dict[str, Any]:
        """The next heartbeat but one, which began after this call."""
        before = self.count()
        self.wait(lambda: self.count() > before + 1)
        url, agent, headers = json.loads(self.lines("heartbeats")[before + 1])
        assert url == "http://monitor.example.org/api/systemagents/heartbeat/"
        assert headers == {"Authorization": "Token a-token"}
        return agent

    def count(self) -> int:
        return len(self.lines("heartbeats"))

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert self.program and self.program.poll() is None, self.lines("log")
            assert time.monotonic() < deadline, self.lines("log")
            time.sleep(0.02)


@pytest.fixture(name="listener")
def listener_in_a_folder(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(tmp_path)
    yield listener
    if listener.program:
        listener.program.kill()
        listener.program.wait()


def test_it_waits_for_a_broker_and_subscribes(listener):
    listener.start()
    found = listener.heartbeat()
    assert found["status"] == "WARNING" and "broker cannot be reached" in found["description"]
    (listener.folder / "broker").touch()
    listener.wait(lambda: "subscribed" in listener.lines("log"))
    found = listener.heartbeat()
    assert (found["instance_name"], found["status"]) == ("monitor-listener-bnlnpps", "OK")
    # with the heart-beats of the agents
    assert listener.lines("connections") == ["True (30000, 30000)"]


def test_a_lost_connection_is_a_warning_until_it_subscribes_again_itself(listener):
    (listener.folder / "broker").touch()
    listener.start()
    assert listener.heartbeat()["status"] == "OK"
    (listener.folder / "broker").unlink()
    listener.wait(lambda: "The broker cannot be reached" in listener.lines("log")[-1])
    assert listener.heartbeat()["status"] == "WARNING"
    (listener.folder / "broker").touch()
    listener.wait(lambda: len(listener.lines("connections")) == 2)
    # after the time of the monitor's own attempt
    time.sleep(1)
    assert listener.heartbeat()["status"] == "OK"
    assert len(listener.lines("connections")) == 2


def test_it_goes_on_without_the_monitor(listener):
    (listener.folder / "broker").touch()
    (listener.folder / "monitor").unlink()
    listener.start()
    listener.heartbeat()
    assert any("did not accept a heartbeat" in line for line in listener.lines("log"))
