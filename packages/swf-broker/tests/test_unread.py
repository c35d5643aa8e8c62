# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that nobody reads do not fill the broker."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from stomp_client import RawClient

from swf_broker import messages, unread
from swf_broker.messages import Message, new_message_id
from swf_broker.queues import Subscription, Switchboard
from swf_broker.routing import Routing
from swf_broker.selector import Selector
from swf_broker.unread import UnreadLimits

QUEUE = "/queue/q"
NO_GRACE = "import swf_broker.unread; swf_broker.unread.GRACE_SECONDS = 0"


def drain(port: int, queue: str = QUEUE) -> list[str]:
    client = RawClient(port)
    client.subscribe(queue, ack="auto")
    client.send("SEND", {"destination": queue}, b"end")
    bodies = [client.message()]
    while bodies[-1] != "end":
        bodies.append(client.message())
    return bodies[:-1]


def test_the_oldest_are_dropped_and_others_go_on(start_broker) -> None:
    broker = start_broker(SWF_BROKER_UNREAD_MAX_MESSAGES="3")
    sender = RawClient(broker.port)
    sender.put(QUEUE, *(f"m{n}" for n in range(10)))
    sender.put("/queue/other", "fine")
    line = broker.wait_for("dropped the oldest messages of addresses that nobody reads")
    assert line["dropped"] == {QUEUE: 1}, "the first line comes at once"
    assert drain(broker.port) == ["m7", "m8", "m9"]
    assert drain(broker.port, "/queue/other") == ["fine"]
    assert broker.terminate() == 0
    lines = [line for line in broker.lines if "dropped" in line]
    assert [line["since_start"] for line in lines] == [1, 7]


def test_the_size_is_limited_and_the_newest_stays(start_broker) -> None:
    broker = start_broker(SWF_BROKER_UNREAD_MAX_MB="1")
    sender = RawClient(broker.port)
    sender.put(QUEUE, "x" * 600_000, "y" * 600_000)
    sender.put("/queue/large", "z" * 3_000_000)
    assert [body[0] for body in drain(broker.port)] == ["y"]
    assert len(drain(broker.port, "/queue/large")[0]) == 3_000_000


def test_full_queues_drop_what_nobody_reads(start_broker) -> None:
    """Many addresses, each below its limit, are too much together."""
    broker = start_broker(SWF_BROKER_MAX_QUEUED_MB="2")
    consumer, sender = RawClient(broker.port), RawClient(broker.port)
    consumer.subscribe(QUEUE, **{"activemq.prefetchSize": "1"})
    sender.put(QUEUE, "first", "second")
    for n in range(50):
        sender.put(f"/queue/{n}", "x" * 100_000, "y" * 100_000)
    message = consumer.read("MESSAGE")
    consumer.send("ACK", {"id": message.headers["ack"]})
    assert [message.body.decode(), consumer.message()] == ["first", "second"]


def test_messages_that_no_selector_matches_are_limited(start_broker) -> None:
    broker = start_broker(SWF_BROKER_UNREAD_MAX_MESSAGES="3")
    reader, sender = RawClient(broker.port), RawClient(broker.port)
    reader.subscribe(QUEUE, selector="run_id = '1'", **{"activemq.prefetchSize": "1"})
    for n in range(10):
        sender.put(QUEUE, f"old {n}", run_id="0")
        sender.put(QUEUE, f"new {n}", run_id="1")
    reader.close()
    # all messages of the reader are still there, since it may return
    assert drain(broker.port) == [
        *(f"new {n}" for n in range(7)), "old 7", "new 7", "old 8", "new 8", "old 9", "new 9"
    ]  # fmt: skip


def test_the_limit_survives_a_restart(start_broker, data_dir: Path) -> None:
    stored = {"SWF_BROKER_DATA_DIR": str(data_dir)}
    broker = start_broker(**stored)
    sender = RawClient(broker.port)
    sender.put(QUEUE, *(f"m{n}" for n in range(10)), persistent="true")
    broker.kill()
    limit = {"SWF_BROKER_UNREAD_MAX_MESSAGES": "4"}
    broker = start_broker(**stored, **limit)
    RawClient(broker.port).put(QUEUE, "m10", persistent="true")
    broker.kill()
    broker = start_broker(before=NO_GRACE, **stored, **limit)
    assert broker.wait_for("listening")["waiting"] == {QUEUE: 11}, "consumers may return"
    RawClient(broker.port).put(QUEUE, "m11", persistent="true")
    assert broker.terminate() == 0
    broker = start_broker(**stored)
    assert broker.wait_for("listening")["waiting"] == {QUEUE: 4}
    assert drain(broker.port) == ["m8", "m9", "m10", "m11"]


def test_a_flood_for_nobody_delays_nobody(start_broker) -> None:
    broker = start_broker(SWF_BROKER_UNREAD_MAX_MESSAGES="1000")
    sender, reader = RawClient(broker.port), RawClient(broker.port)
    reader.receipt("SUBSCRIBE", {"id": "s", "destination": "/queue/read"})
    for n in range(20_000):
        sender.send("SEND", {"destination": QUEUE}, b"x" * 500)
        if n % 100 == 0:
            sender.send("SEND", {"destination": "/queue/read"}, b"%d" % n)
            assert reader.message() == str(n)
    assert len(drain(broker.port)) == 1000


class Reader:
    accepts_messages = True

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def deliver(self, subscription: Subscription, message) -> None:
        self.bodies.append(message.body)


class TestTime:
    """Age, grace and the log, with a clock that the test sets."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [1_000_000.0]
        monkeypatch.setattr(time, "time", lambda: now[0])
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        return now

    @staticmethod
    def switchboard(messages: int = 2, seconds: int | None = None) -> Switchboard:
        return Switchboard(None, Routing(), 2**20, UnreadLimits(messages, 2**20, seconds))

    @staticmethod
    def send(switchboard: Switchboard, *bodies: bytes, **headers: str) -> None:
        for body in bodies:
            switchboard.send({"destination": QUEUE, **headers}, body)

    @staticmethod
    def read(switchboard: Switchboard, prefetch: int = 100, selector: str = "") -> Subscription:
        found = Selector(selector) if selector else None
        subscription = Subscription(Reader(), "s", QUEUE, "client", prefetch, found)
        switchboard.subscribe(subscription)
        return subscription

    def test_old_messages_are_dropped(self, clock: list[float]) -> None:
        switchboard = self.switchboard(100, seconds=60)
        self.send(switchboard, b"a")
        clock[0] += 40
        self.send(switchboard, b"b")
        clock[0] += 30
        switchboard.tick()
        assert switchboard.waiting == {QUEUE: 1}
        clock[0] += 60
        switchboard.tick()
        assert switchboard.waiting == {}
        assert switchboard.dropped.total == 2

    def test_a_message_of_an_earlier_version_is_as_old_as_the_process(
        self, clock: list[float]
    ) -> None:
        new, old = new_message_id("b0", 7), "0123456789ab-7"
        arrived = [Message(7, {"message-id": name}, b"").arrived for name in (new, old)]
        assert arrived == [clock[0], messages._STARTED]

    def test_a_consumer_may_return(self, clock: list[float]) -> None:
        switchboard = self.switchboard()
        consumer = self.read(switchboard, prefetch=1)
        self.send(switchboard, *(b"%d" % n for n in range(10)))
        switchboard.unsubscribe(consumer)
        clock[0] += unread.GRACE_SECONDS - 1
        self.send(switchboard, b"10")
        switchboard.tick()
        assert switchboard.waiting == {QUEUE: 11}
        clock[0] += 1
        switchboard.tick()
        assert switchboard.waiting == {QUEUE: 2}

    def test_a_slow_consumer_is_one(self, clock: list[float]) -> None:
        switchboard = self.switchboard(seconds=60)
        self.read(switchboard, prefetch=1)
        self.send(switchboard, *(b"%d" % n for n in range(10)))
        clock[0] += 1000
        switchboard.tick()
        assert switchboard.waiting == {QUEUE: 9}

    def test_one_line_in_a_minute(
        self, clock: list[float], caplog: pytest.LogCaptureFixture
    ) -> None:
        switchboard = self.switchboard(1)
        for _ in range(600):
            self.send(switchboard, b"x")
            clock[0] += 1
            switchboard.tick()
        totals = [r.since_start for r in caplog.records if r.levelno == logging.WARNING]
        assert len(totals) == 10
        assert totals == sorted(totals)
        assert sum(sum(r.dropped.values()) for r in caplog.records) == totals[-1] > 500
