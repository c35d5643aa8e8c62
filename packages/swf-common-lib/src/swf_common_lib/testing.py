# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests of agents: the real broker, the real monitor and agents as processes on ephemeral
ports.

It needs `swf-broker` for the broker and `swf-monitor` for the monitor.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from swf_common_lib.broker import Broker
from swf_common_lib.data_directory import mark, place
from swf_common_lib.messages import Message, parse
from swf_common_lib.monitor import MonitorClient
from swf_common_lib.settings import (
    BrokerSettings,
    Environment,
    MonitorSettings,
    namespace_settings,
)
from swf_common_lib.shutdown import Shutdown

T = TypeVar("T")


def free_port() -> int:
    """A free TCP port of 127.0.0.1."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_until(condition: Callable[[], T], timeout: float = 60.0, every: float = 0.1) -> T:
    """Wait until a condition is true; return its value.

    :raises AssertionError: it was not true within `timeout` seconds
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout} s; the last value was {value!r}")
        time.sleep(every)


def answers(port: int) -> bool:
    """Whether a program listens on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


class Program:
    """An installed command as a process, its output in a file.

    :param log: the file for stdout and stderr
    :param command: its name, e.g. "swf-data-agent", in the directory of this Python
    :param env: the variables of the process in addition to PATH and HOME
    """

    def __init__(self, log: Path, command: str, *arguments: str, env: Mapping[str, str]) -> None:
        self._log = log
        self._command = [str(Path(sys.executable).with_name(command)), *arguments]
        self._env = {"PATH": os.environ["PATH"], "HOME": str(log.parent), **env}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Program:
        """Start the process, or start it again."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (the command is our own)
                self._command, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def wait_for_port(self, port: int) -> None:
        """Wait until the process listens.

        :raises AssertionError: it ended, or 60 s passed; the text has its output
        """
        wait_until(lambda: answers(port) or not self.running, timeout=60)
        if not self.running:
            raise AssertionError(f"{self._command[0]} ended: {self.output}")

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """The output of all starts."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The JSON lines of the output."""
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    def signal(self, number: int) -> None:
        """Send a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, timeout: float = 15.0) -> int:
        """Wait for the end of the process; return the exit code."""
        if self._process is None:
            raise AssertionError("not started")
        return self._process.wait(timeout)

    def stop(self) -> int:
        """Send SIGTERM, and SIGKILL after 10 s; return the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(10)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Send SIGKILL; return the exit code."""
        self.signal(signal.SIGKILL)
        return self.wait()


@contextlib.contextmanager
def programs(
    directory: Path, command: str, *arguments: str, env: Mapping[str, str]
) -> Iterator[Callable[..., Program]]:
    """Yield a function that starts a command, with further arguments and variables. At the end, all
    processes are stopped.

    :param directory: for the logs
    """
    started: list[Program] = []

    def start(*more: str, **variables: str) -> Program:
        log = directory / f"{len(started)}.log"
        started.append(Program(log, command, *arguments, *more, env={**env, **variables}))
        return started[-1].start()

    yield start
    for program in started:
        program.stop()


class Inbox:
    """Receives all messages of some queues, in a `with` statement.

    :param env: the variables of the broker and of the namespace
    """

    def __init__(self, env: Mapping[str, str], *queues: str) -> None:
        self.bodies: list[str] = []
        self._shutdown = Shutdown(grace=1.0)
        environment = Environment(env)
        self.namespace = namespace_settings(environment)
        self._broker = Broker(
            BrokerSettings.from_environment(environment),
            self._shutdown,
            [self.namespace.address(queue) for queue in queues],
            lambda body, _address: self.bodies.append(body),
        )

    def __enter__(self) -> Inbox:
        self._broker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._shutdown.request()
        self._broker.stop()

    @property
    def messages(self) -> list[Message]:
        """The messages so far."""
        return [parse(body) for body in list(self.bodies)]

    def of_type(self, msg_type: str) -> list[Message]:
        """The messages of one type so far."""
        return [message for message in self.messages if message.msg_type == msg_type]

    def send(self, queue: str, body: str) -> None:
        """Send a body as it is.

        :param queue: a queue of the namespace, or an address
        """
        self._broker.send([(self.namespace.address(queue), body)])

    def publish(self, queue: str, msg_type: str, run_id: int, **fields: Any) -> None:
        """Send a message of the namespace, with a new message id."""
        message = Message(
            msg_type, run_id, sender="test", namespace=self.namespace.name, fields=fields
        )
        self.send(queue, message.to_json())


class BrokerProgram(Program):
    """The testbed's broker, whose messages survive a restart, and a namespace of its own.

    :param directory: for its data and its log
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        data = directory / "broker"
        data.mkdir(mode=0o700, parents=True)
        env = {"SWF_BROKER_PORT": str(self.port), "SWF_BROKER_DATA_DIR": str(data)}
        super().__init__(directory / "broker.log", "swf-broker", env=env)
        self.namespace = f"test-{secrets.token_hex(4)}"
        self.env = {
            "ACTIVEMQ_HOST": "127.0.0.1",
            "ACTIVEMQ_PORT": str(self.port),
            "SWF_NAMESPACE": self.namespace,
        }

    def start(self) -> Program:
        """Start the broker, and wait until it listens."""
        super().start()
        self.wait_for_port(self.port)
        return self


class MonitorProgram(Program):
    """The testbed's monitor with a database of its own.

    :param directory: for its data and its log
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.token = secrets.token_hex(20)
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {"SWF_MONITOR_URL": self.url, "SWF_API_TOKEN": self.token}
        data = directory / "monitor"
        data.mkdir(mode=0o700, parents=True)
        self.server_env = {
            "SECRET_KEY": secrets.token_hex(32),
            "SWF_API_TOKEN": self.token,
            "SWF_MONITOR_DATA_DIR": str(data),
        }
        super().__init__(
            directory / "monitor.log",
            "swf-monitor",
            "serve",
            "--setup",
            "--port",
            str(self.port),
            env=self.server_env,
        )

    def start(self) -> Program:
        """Start the monitor, and wait until it listens."""
        super().start()
        self.wait_for_port(self.port)
        return self

    def mark_data(self, data_dir: Path, env: Mapping[str, str]) -> None:
        """Make a directory that of a namespace, as its data agent does.

        :param env: the variables of the namespace
        """
        namespace = namespace_settings(Environment(env))
        client = MonitorClient(MonitorSettings(self.url, self.token), Shutdown())
        client.claim_namespace(namespace, "test")
        data_id = mark(data_dir, namespace.name)
        client.mark_data_directory(namespace, data_id, place(data_dir))

    def get(self, path: str) -> Any:
        """The response of the API to GET `path`, e.g. "/api/summary/"."""
        request = urllib.request.Request(  # noqa: S310 (http)
            self.url + path, headers={"Authorization": f"Token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
            return json.load(reply)
