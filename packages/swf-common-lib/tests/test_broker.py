# SPDX-License-Identifier: GPL-3.0-or-later
"""Messaging over the testbed's broker, with failures of all parts."""

from __future__ import annotations

import logging
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from proxies import Proxy

from swf_common_lib.broker import Broker
from swf_common_lib.settings import BrokerSettings, ConfigurationError
from swf_common_lib.shutdown import Shutdown, Stopping
from swf_common_lib.testing import BrokerProgram, Inbox, Program, free_port, wait_until

QUEUE = "/queue/test"
PASSWORD = "canary-password-31415926"

Connect = Callable[..., Broker]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Creates clients that are stopped at the end."""
    made: list[tuple[Broker, Shutdown]] = []

    def make(
        port: int,
        on_message: Callable[[str], None] | None = None,
        grace: float = 1.0,
        **settings: object,
    ) -> Broker:
        shutdown = Shutdown(grace)
        client = Broker(
            BrokerSettings(port=port, **settings),  # type: ignore[arg-type]
            shutdown,
            [QUEUE] if on_message else [],
            (lambda body, address: on_message(body)) if on_message else None,
        )
        client.shutdown = shutdown  # type: ignore[attr-defined]
        made.append((client, shutdown))
        client.start()
        return client

    yield make
    for client, shutdown in made:
        shutdown.request()
        client.stop()


def stop(client: Broker) -> bool:
    client.shutdown.request()  # type: ignore[attr-defined]
    return client.stop()


def test_messages_arrive_in_order(broker: BrokerProgram, connect: Connect) -> None:
    bodies: list[str] = []
    connect(broker.port, bodies.append)
    sent = [f"{n}: ä\n:\\" for n in range(200)]
    connect(broker.port).send([(QUEUE, body) for body in sent])
    wait_until(lambda: len(bodies) >= 200)
    assert bodies == sent


def test_nothing_is_lost_when_the_broker_is_killed_and_restarted(
    broker: BrokerProgram, connect: Connect
) -> None:
    bodies: list[str] = []
    connect(broker.port, bodies.append)
    sender = connect(broker.port)

    def send_all() -> None:
        for number in range(600):
            sender.send([(QUEUE, str(number))])

    sending = threading.Thread(target=send_all, daemon=True)
    sending.start()
    for until in (100, 300):
        while len(bodies) < until:
            time.sleep(0.01)
        broker.kill()
        time.sleep(0.5)
        broker.start()
    sending.join(40)
    assert not sending.is_alive()
    wait_until(lambda: len(set(bodies)) == 600)


def test_messages_lost_with_the_connection_are_sent_again(
    broker: BrokerProgram, connect: Connect
) -> None:
    with Proxy(broker.port) as proxy, Inbox(broker.env, QUEUE) as inbox:
        sender = connect(proxy.port)
        wait_until(lambda: sender.connected)
        proxy.silent.set()
        sending = threading.Thread(
            target=sender.send, args=([(QUEUE, "lost at first")],), daemon=True
        )
        sending.start()
        time.sleep(0.5)
        assert sending.is_alive(), "it must not return without a receipt"
        proxy.cut()
        proxy.silent.clear()
        wait_until(lambda: inbox.bodies == ["lost at first"])
        sending.join(5)
        assert not sending.is_alive()


def test_messages_sent_during_an_outage_arrive_later(
    broker: BrokerProgram, connect: Connect
) -> None:
    broker.stop()
    sender = connect(broker.port)
    sending = threading.Thread(target=sender.send, args=([(QUEUE, "late")],), daemon=True)
    sending.start()
    wait_until(lambda: sender.problem != "connecting")
    assert sender.problem == "Connection refused"
    assert not sender.connected
    broker.start()
    sending.join(30)
    assert not sending.is_alive()
    assert sender.problem == ""
    with Inbox(broker.env, QUEUE) as inbox:
        wait_until(lambda: inbox.bodies == ["late"])


def test_an_outage_is_logged_once(
    broker: BrokerProgram, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = connect(broker.port)
    wait_until(lambda: client.connected)
    broker.kill()
    time.sleep(3)
    broker.start()
    wait_until(lambda: client.connected)
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 2, warnings
    assert "connection closed" in warnings[0]
    assert "Connection refused" in warnings[1]
    assert any("answers again" in message for message in caplog.messages)


def test_a_message_is_acknowledged_only_after_the_work(
    broker: BrokerProgram, connect: Connect
) -> None:
    started, released = threading.Event(), threading.Event()

    def work(body: str) -> None:
        started.set()
        released.wait(30)
        raise Stopping

    first = connect(broker.port, work)
    connect(broker.port).send([(QUEUE, "one"), (QUEUE, "two")])
    assert started.wait(10)
    released.set()
    stop(first)
    bodies: list[str] = []
    connect(broker.port, bodies.append)
    wait_until(lambda: bodies == ["one", "two"])


def test_a_handled_message_is_not_delivered_again(broker: BrokerProgram, connect: Connect) -> None:
    bodies: list[str] = []
    first = connect(broker.port, bodies.append)
    sender = connect(broker.port)
    sender.send([(QUEUE, "one")])
    wait_until(lambda: bodies == ["one"])
    assert stop(first)
    second = connect(broker.port, bodies.append)
    wait_until(lambda: second.connected)
    sender.send([(QUEUE, "two")])
    wait_until(lambda: len(bodies) > 1)
    assert bodies == ["one", "two"]


def test_a_fault_in_the_work_does_not_end_it(
    broker: BrokerProgram, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    def work(body: str) -> None:
        if body == "bad":
            raise ZeroDivisionError
        done.append(body)

    connect(broker.port, work)
    connect(broker.port).send([(QUEUE, "bad"), (QUEUE, "good")])
    wait_until(lambda: done == ["good"])
    assert "cannot handle a message" in caplog.text


def test_slow_work_does_not_hold_up_heart_beats(broker: BrokerProgram, connect: Connect) -> None:
    with Proxy(broker.port) as proxy:
        done: list[str] = []

        def work(body: str) -> None:
            time.sleep(4)
            done.append(body)

        connect(proxy.port, work, heartbeat_ms=500)
        connect(broker.port).send([(QUEUE, "slow")])
        wait_until(lambda: done == ["slow"])
        assert proxy.connections == 1


def test_a_connection_that_goes_silent_is_replaced(broker: BrokerProgram, connect: Connect) -> None:
    with Proxy(broker.port) as proxy:
        client = connect(proxy.port, heartbeat_ms=500)
        wait_until(lambda: client.connected)
        proxy.silent.set()
        wait_until(lambda: not client.connected)
        proxy.silent.clear()
        wait_until(lambda: client.connected)
        client.send([(QUEUE, "again")])


def test_stopping_does_not_wait_for_an_unavailable_broker(connect: Connect) -> None:
    client = connect(free_port())
    outcome: list[type[BaseException]] = []

    def send() -> None:
        try:
            client.send([(QUEUE, "never")])
        except Stopping:
            outcome.append(Stopping)

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    time.sleep(0.3)
    stop(client)
    sending.join(5)
    assert outcome == [Stopping]


def test_stopping_ends_the_wait_for_a_receipt(broker: BrokerProgram, connect: Connect) -> None:
    with Proxy(broker.port) as proxy:
        client = connect(proxy.port)
        wait_until(lambda: client.connected)
        proxy.silent.set()
        threading.Timer(0.5, client.shutdown.request).start()  # type: ignore[attr-defined]
        with pytest.raises(Stopping):
            client.send([(QUEUE, "unconfirmed")])


def test_a_wrong_password_is_reported_and_not_shown(
    tmp_path: Path, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("stomp.py").setLevel(logging.WARNING)  # as configure_logging does
    program = BrokerProgram(tmp_path)
    login = {"SWF_BROKER_USER": "swf", "SWF_BROKER_PASSWORD": "the right one"}
    server = Program(
        tmp_path / "log", "swf-broker", env={"SWF_BROKER_PORT": str(program.port), **login}
    )
    server.start().wait_for_port(program.port)
    try:
        client = connect(program.port, user="swf", password=PASSWORD)
        wait_until(lambda: client.problem.startswith("refused"))
        right = connect(program.port, user="swf", password="the right one")
        right.send([(QUEUE, "in")])
    finally:
        server.stop()
    assert PASSWORD not in caplog.text


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def proxy(self, broker: BrokerProgram, authority: trustme.CA) -> Iterator[Proxy]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with Proxy(broker.port, context) as proxy:
            yield proxy

    @staticmethod
    def bundle(authority: trustme.CA, path: Path) -> str:
        authority.cert_pem.write_to_path(path)
        return str(path)

    def test_with_the_right_authority_messages_pass_both_ways(
        self, proxy: Proxy, authority: trustme.CA, tmp_path: Path, connect: Connect
    ) -> None:
        tls = {"use_ssl": True, "ca_certs": self.bundle(authority, tmp_path / "ca.pem")}
        bodies: list[str] = []
        connect(proxy.port, bodies.append, **tls)
        sender = connect(proxy.port, **tls)
        sent = [str(n) * 5000 for n in range(300)]
        sender.send([(QUEUE, body) for body in sent])
        wait_until(lambda: len(bodies) >= 300)
        assert bodies == sent

    def test_a_connection_that_the_server_closed_is_replaced_at_once(
        self, proxy: Proxy, authority: trustme.CA, tmp_path: Path, connect: Connect
    ) -> None:
        # Without heart-beats, so that only the end of the connection itself is detected.
        client = connect(
            proxy.port,
            use_ssl=True,
            ca_certs=self.bundle(authority, tmp_path / "ca.pem"),
            heartbeat_ms=0,
        )
        wait_until(lambda: client.connected)
        proxy.cut()
        wait_until(lambda: proxy.connections == 2 and client.connected, timeout=10)

    def test_a_certificate_of_another_authority_is_refused(
        self, proxy: Proxy, tmp_path: Path, connect: Connect
    ) -> None:
        other = self.bundle(trustme.CA(), tmp_path / "other.pem")
        client = connect(proxy.port, use_ssl=True, ca_certs=other)
        wait_until(lambda: "certificate not accepted" in client.problem)
        assert proxy.connections == 0

    def test_a_file_that_is_no_bundle_is_a_configuration_error(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("no certificate")
        with pytest.raises(ConfigurationError, match="ACTIVEMQ_SSL_CA_CERTS"):
            Broker(BrokerSettings(use_ssl=True, ca_certs=str(tmp_path / "ca.pem")), Shutdown())


def test_a_broker_that_hangs_is_reported(broker: BrokerProgram, connect: Connect) -> None:
    """It accepts the connection and sends nothing: a stopped process."""
    broker.signal(signal.SIGSTOP)
    try:
        client = connect(broker.port)
        wait_until(lambda: client.problem == "no answer to CONNECT")
    finally:
        broker.signal(signal.SIGCONT)
    wait_until(lambda: client.connected)
