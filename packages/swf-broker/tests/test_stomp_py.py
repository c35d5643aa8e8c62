# SPDX-License-Identifier: GPL-3.0-or-later
"""The client library of the agents, stomp.py, with the settings that the public agents use."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stomp
import trustme
from conftest import StartBroker

ADDRESSES = {"SWF_BROKER_ANYCAST": "epicqueue,/topic/work"}


class Client(stomp.ConnectionListener):
    """A connection that collects its messages and errors."""

    def __init__(self, connection: Any, **connect: Any) -> None:
        self.connection = connection
        self.messages: queue.Queue[Any] = queue.Queue()
        self.errors: list[str] = []
        self.losses = 0
        self.connected: dict[str, str] = {}
        connection.set_listener("", self)
        connection.connect("swf", "secret", wait=True, **connect)

    def on_connected(self, frame: Any) -> None:
        self.connected = frame.headers

    def on_message(self, frame: Any) -> None:
        self.messages.put(frame)

    def on_error(self, frame: Any) -> None:
        self.errors.append(frame.headers["message"])

    def on_heartbeat_timeout(self) -> None:
        self.losses += 1

    def next(self) -> str:
        return str(self.messages.get(timeout=10).body)

    def is_quiet(self) -> bool:
        time.sleep(0.3)
        return self.messages.empty()


Connect = Callable[..., Client]


# each version of the protocol, and each transport: they do not depend on each other
@pytest.fixture(params=[("1.1", False), ("1.2", True)], ids=["1.1-plain", "1.2-tls"])
def session(request: pytest.FixtureRequest) -> tuple[str, bool]:
    version, tls = request.param
    return version, tls


@pytest.fixture
def version(session: tuple[str, bool]) -> str:
    return session[0]


@pytest.fixture
def connect(
    session: tuple[str, bool], start_broker: StartBroker, tmp_path: Path
) -> Iterator[Connect]:
    version, tls = session
    environment = {"SWF_BROKER_USER": "swf", "SWF_BROKER_PASSWORD": "secret", **ADDRESSES}
    if tls:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(tmp_path / "server.pem")
        )
        environment["SWF_BROKER_TLS_CERT"] = str(tmp_path / "server.pem")
        environment["SWF_BROKER_TLS_KEY"] = str(tmp_path / "server.pem")
    broker = start_broker(**environment)
    clients: list[Client] = []

    def make(**options: Any) -> Client:
        host = ("127.0.0.1", broker.port)
        class_ = {"1.1": stomp.Connection11, "1.2": stomp.Connection12}[version]
        connection = class_(
            [host],
            vhost="pandaserver02.example.org",
            try_loopback_connect=False,
            heartbeats=(30_000, 30_000),
        )
        if tls:
            connection.set_ssl(for_hosts=[host], ca_certs=str(tmp_path / "ca.pem"))
        clients.append(Client(connection, headers={"client-id": f"c{len(clients)}"}, **options))
        return clients[-1]

    yield make
    for client in clients:
        assert (client.errors, client.losses) == ([], 0)
        client.connection.disconnect()


def ready(client: Client) -> None:
    """Wait until the broker has handled the frames of a client so far."""
    # of this client alone: another one may still be subscribed to its own
    address = f"/topic/ready-{id(client)}"
    client.connection.subscribe(address, id="ready", ack="auto")
    client.connection.send(address, "ready")
    assert client.next() == "ready"
    client.connection.unsubscribe("ready")


@pytest.mark.parametrize("topic", ["epictopic", "/topic/epictopic"])
def test_a_topic_is_read_by_both(connect: Connect, topic: str) -> None:
    readers = [connect(), connect()]
    for reader in readers:
        reader.connection.subscribe(topic, id=1, ack="auto")
        ready(reader)
    readers[0].connection.send(topic, "to both", headers={"namespace": "lab"})
    assert [reader.next() for reader in readers] == ["to both"] * 2


@pytest.mark.parametrize("address", ["epicqueue", "/queue/work", "/topic/work"])
def test_a_queue_is_read_by_one_of_two(connect: Connect, address: str) -> None:
    sender, readers = connect(), [connect(), connect()]
    for reader in readers:
        reader.connection.subscribe(address, id=1, ack="client-individual")
        ready(reader)
    for body in "ab":
        sender.connection.send(address, body)
    assert {reader.next() for reader in readers} == {"a", "b"}
    assert all(reader.is_quiet() for reader in readers)


def test_selectors(connect: Connect) -> None:
    address = "/queue/panda.transformer.slices"
    sender, one, two = connect(), connect(), connect()
    one.connection.subscribe(
        address,
        id="one",
        ack="client-individual",
        headers={
            "selector": "namespace='lab' AND (run_id = '1')",
            "activemq.prefetchSize": "1",
            "durable": False,
            "subscription-name": "x",
        },
    )
    headers = {"namespace": "lab", "persistent": "true", "ttl": 43_200_000, "vo": "eic"}
    for run in "2111":
        sender.connection.send(address, run, headers={**headers, "run_id": run})
    for _ in range(3):
        frame = one.messages.get(timeout=10)
        assert frame.body == "1"
        assert one.messages.empty()
        ack = frame.headers.get("ack", frame.headers["message-id"])
        one.connection.ack(*([ack] if "ack" in frame.headers else [ack, "one"]))
    assert one.is_quiet()
    two.connection.subscribe(address, id=1, ack="auto", headers={"selector": "run_id = '2'"})
    assert two.next() == "2"


def test_an_invalid_selector_is_an_error(connect: Connect) -> None:
    client = connect()
    client.connection.subscribe("/queue/q", id=1, headers={"selector": "run_id = = 5"})
    deadline = time.monotonic() + 10
    while not client.errors and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "the selector is invalid" in client.errors.pop()


def test_version_and_heartbeats_are_negotiated(connect: Connect, version: str) -> None:
    client = connect()
    assert client.connected["version"] == version
    assert client.connected["heart-beat"] == "1000,1000", "so both use 30,000 ms"
    ready(client)
