# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker as a process: messages after a kill, its shutdown, its errors at the start."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from stomp_client import RawClient

QUEUE = "/queue/q"


def test_persistent_messages_survive_a_kill(start_broker, data_dir: Path) -> None:
    broker = start_broker(SWF_BROKER_DATA_DIR=str(data_dir))
    client = RawClient(broker.port)
    client.put(QUEUE, *(f"m{n}" for n in range(50)), persistent="true", colour="a:b\n")
    client.put(QUEUE, "in memory")
    client.subscribe(QUEUE)
    for _ in range(10):
        last = client.read("MESSAGE")
        client.send("ACK", {"id": last.headers["ack"]})
    client.send("SEND", {"destination": "/queue/other", "receipt": "end"})
    while client.next().command != "RECEIPT":  # behind it, the ten are gone from the disk
        pass
    broker.kill()

    broker = start_broker(port=broker.port, SWF_BROKER_DATA_DIR=str(data_dir))
    client = RawClient(broker.port)
    client.subscribe(QUEUE)
    frames = [client.read("MESSAGE") for _ in range(40)]
    assert [frame.body.decode() for frame in frames] == [f"m{n}" for n in range(10, 50)]
    assert frames[0].headers["colour"] == "a:b\n"
    assert client.nothing_comes()
    client.put("/queue/new", "after", persistent="true")
    assert broker.terminate() == 0

    broker = start_broker(SWF_BROKER_DATA_DIR=str(data_dir))
    assert broker.lines[0]["waiting"] == {QUEUE: 40, "/queue/new": 1}
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in data_dir.iterdir()} == {0o600}


def test_a_kill_in_a_burst_loses_nothing_that_was_confirmed(start_broker, data_dir: Path) -> None:
    broker = start_broker(SWF_BROKER_DATA_DIR=str(data_dir))
    confirmed: list[str] = []

    def send(number: int) -> None:
        client = RawClient(broker.port)
        try:
            for n in range(100_000):
                name = f"{number}.{n}"
                client.send(
                    "SEND",
                    {"destination": QUEUE, "persistent": "true", "receipt": name},
                    name.encode(),
                )
                # ten unconfirmed messages at any time
                if n >= 10 and (frame := client.next()):
                    confirmed.append(frame.headers["receipt-id"])
        except OSError:
            pass

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while len(confirmed) < 2000:
        time.sleep(0.01)
    broker.kill()
    for thread in threads:
        thread.join(20)
    assert len(confirmed) >= 2000

    broker = start_broker(SWF_BROKER_DATA_DIR=str(data_dir))
    client = RawClient(broker.port)
    client.subscribe(QUEUE, ack="auto")
    count = broker.lines[0]["waiting"][QUEUE]
    received = [client.message() for _ in range(count)]
    assert len(set(received)) == len(received), "doubled"
    assert set(confirmed) <= set(received), "lost"


def test_without_a_data_directory_nothing_is_stored(start_broker) -> None:
    broker = start_broker()
    RawClient(broker.port).put(QUEUE, "gone", persistent="true")
    broker.kill()
    client = RawClient(start_broker(port=broker.port).port)
    client.subscribe(QUEUE)
    assert client.nothing_comes()


def test_the_end_is_clean(start_broker, data_dir: Path) -> None:
    broker = start_broker(SWF_BROKER_DATA_DIR=str(data_dir))
    clients = [RawClient(broker.port) for _ in range(4)]
    for n, client in enumerate(clients):
        client.send("SEND", {"destination": QUEUE, "persistent": "true", "receipt": "r"}, b"x" * n)
        client.read("RECEIPT")
    assert broker.terminate() == 0
    assert [client.next() for client in clients] == [None] * 4
    broker.wait_for("stopped")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SWF_")}
    return subprocess.run(
        [sys.executable, "-m", "swf_broker", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def test_port_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as removed:
        port = removed.getsockname()[1]
        error = one_line(run("--port", str(port)))
    assert f"127.0.0.1:{port}: another program uses this port" in error


def test_a_data_directory_serves_one_broker(start_broker, data_dir: Path) -> None:
    start_broker(SWF_BROKER_DATA_DIR=str(data_dir))
    assert "another broker uses it" in one_line(
        run("--port", "0", SWF_BROKER_DATA_DIR=str(data_dir))
    )


def test_a_damaged_store(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "messages.sqlite3").write_bytes(b"not a database" * 100)
    assert "file is not a database" in one_line(
        run("--port", "0", SWF_BROKER_DATA_DIR=str(data_dir))
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "cause"),
    [
        (["--user", "swf"], {}, "set both"),
        ([], {"SWF_BROKER_PASSWORD": "canary"}, "set both"),
        (
            ["--user", "x"],
            {"SWF_BROKER_PASSWORD": "canary", "SWF_BROKER_PASSWORD_FILE": "/x"},
            "both set",
        ),
        (["--user", "x"], {"SWF_BROKER_PASSWORD_FILE": "/nowhere/at/all"}, "No such file"),
        (["--port", "http"], {}, "SWF_BROKER_PORT must be a whole number"),
        ([], {"SWF_BROKER_DATA_DIR": "/proc/none"}, "cannot store messages"),
        ([], {"SWF_LOG_LEVEL": "LOUD"}, "SWF_LOG_LEVEL"),
        ([], {"SWF_BROKER_TLS_CERT": "/x"}, "belong together"),
        ([], {"SWF_BROKER_ANYCAST": "a, b", "SWF_BROKER_MULTICAST": "b"}, "b is in SWF_BROKER_ANY"),
        ([], {"SWF_BROKER_MULTICAST": "/queue/DLQ"}, "stores rejected messages"),
        ([], {"SWF_BROKER_UNREAD_MAX_MESSAGES": "0"}, "SWF_BROKER_UNREAD_MAX_MESSAGES must be"),
    ],
)
def test_settings_that_cannot_work(
    arguments: list[str], environment: dict[str, str], cause: str
) -> None:
    error = one_line(run(*arguments, **environment))
    assert cause in error
    assert "canary" not in error
