# SPDX-License-Identifier: GPL-3.0-or-later
"""Heart-beats: idle peers stay connected, dead ones are detected on both sides."""

from __future__ import annotations

import os
import signal
import time

import pytest
import stomp
from stomp_client import RawClient


def test_idle_clients_stay_and_a_stopped_broker_is_noticed(broker) -> None:
    class Watcher(stomp.ConnectionListener):
        lost = 0

        def on_heartbeat_timeout(self) -> None:
            Watcher.lost += 1

    connection = stomp.Connection12([("127.0.0.1", broker.port)], heartbeats=(1000, 1000))
    connection.set_listener("", Watcher())
    connection.connect(wait=True)
    time.sleep(5)
    assert connection.is_connected()
    assert Watcher.lost == 0
    os.kill(broker.process.pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 20
        while not Watcher.lost and time.monotonic() < deadline:
            time.sleep(0.1)
        assert Watcher.lost
    finally:
        os.kill(broker.process.pid, signal.SIGCONT)


def test_a_silent_client_is_disconnected_and_its_messages_return(broker) -> None:
    silent = RawClient(broker.port, **{"heart-beat": "1000,0"})
    silent.put("/queue/q", "work")
    silent.subscribe("/queue/q")
    assert silent.message() == "work"
    other = RawClient(broker.port)
    other.subscribe("/queue/q")
    assert other.message() == "work"
    assert silent.next() is None
    assert broker.wait_for("disconnected: no heart-beat")


def test_no_heartbeats_without_a_request(broker) -> None:
    client = RawClient(broker.port)
    assert client.connected.headers["heart-beat"] == "1000,1000"
    client.socket.settimeout(1.5)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)
    client.put("/queue/q", "still here")
