# SPDX-License-Identifier: GPL-3.0-or-later
"""A real broker process for each test that uses one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MAIN = "import sys, swf_broker.main; sys.exit(swf_broker.main.main())"


class BrokerProcess:
    """`swf-broker` on a free port of 127.0.0.1; a thread reads its log.

    :param before: Python code that runs first, to change a constant
    """

    def __init__(self, environment: dict[str, str], port: int = 0, before: str = "") -> None:
        self.lines: list[dict[str, object]] = []
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SWF_")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{MAIN}", "--port", str(port)],
            env={**clean, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.port = int(str(self.wait_for("listening")["port"]))

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def wait_for(self, message: str, timeout: float = 20) -> dict[str, object]:
        """The first line of the log with this message."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = next((line for line in list(self.lines) if line["message"] == message), None)
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"the broker never logged {message!r}, only {self.lines}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> int:
        """Send SIGTERM; return the exit status. The limit is five seconds."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(5)


StartBroker = Callable[..., BrokerProcess]


@pytest.fixture
def start_broker() -> Iterator[StartBroker]:
    started: list[BrokerProcess] = []

    def start(port: int = 0, before: str = "", **environment: str) -> BrokerProcess:
        broker = BrokerProcess(environment, port, before)
        started.append(broker)
        return broker

    yield start
    for broker in started:
        if broker.process.poll() is None:
            broker.kill()


@pytest.fixture
def broker(start_broker: StartBroker) -> BrokerProcess:
    return start_broker()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "broker-data"
