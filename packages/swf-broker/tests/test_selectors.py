# SPDX-License-Identifier: GPL-3.0-or-later
"""Selectors of subscriptions: what they do not match waits, and delays nothing."""

from __future__ import annotations

import time

from stomp_client import RawClient

QUEUE = "/queue/slices"


def test_unmatched_messages_wait_and_do_not_block_others(broker) -> None:
    sender, first = RawClient(broker.port), RawClient(broker.port)
    first.subscribe(QUEUE, selector="run_id = '1'")
    for n in range(50):
        sender.put(QUEUE, f"two {n}", run_id="2")
    sender.put(QUEUE, "one", run_id="1")
    assert first.message() == "one"
    second = RawClient(broker.port)
    second.subscribe(QUEUE, selector="namespace IS NULL AND run_id = '2'")
    assert [second.message() for _ in range(50)] == [f"two {n}" for n in range(50)]
    second.close()
    third = RawClient(broker.port)
    third.subscribe(QUEUE)
    assert third.message() == "two 0", "unacknowledged messages return"
    assert first.nothing_comes()


def test_a_busy_subscription_does_not_block_others(broker) -> None:
    busy, free = RawClient(broker.port), RawClient(broker.port)
    busy.subscribe(QUEUE, selector="run_id = '1'", **{"activemq.prefetchSize": "1"})
    free.subscribe(QUEUE, selector="run_id = '2'")
    sender = RawClient(broker.port)
    for run in "1112":
        sender.put(QUEUE, run, run_id=run)
    assert busy.message() == "1"
    assert free.message() == "2"
    assert busy.nothing_comes()


def test_a_transformer_changes_its_selector(broker) -> None:
    """As agents of the public testbed do: at the first message, for the run of that message."""
    sender, client = RawClient(broker.port), RawClient(broker.port, "1.1")
    sender.put(QUEUE, "a", run_id="1", namespace="lab")
    sender.put(QUEUE, "b", run_id="2", namespace="lab")
    sender.put(QUEUE, "c", run_id="1", namespace="lab")
    one = {"activemq.prefetchSize": "1"}
    client.subscribe(QUEUE, selector="namespace='lab'", **one)
    assert client.message() == "a"
    client.receipt("UNSUBSCRIBE", {"id": "s"})
    client.subscribe(QUEUE, selector="namespace='lab' AND (run_id = '1')", **one)
    for expected in (b"a", b"c"):
        message = client.read("MESSAGE")
        assert message.body == expected
        client.send("ACK", {"subscription": "s", "message-id": message.headers["message-id"]})
    assert client.nothing_comes()


def test_topics_filter_for_each_subscription(broker) -> None:
    readers = [RawClient(broker.port) for _ in range(2)]
    for n, reader in enumerate(readers):
        reader.receipt(
            "SUBSCRIBE", {"id": "s", "destination": "epictopic", "selector": f"n >= {n}"}
        )
    RawClient(broker.port).put("epictopic", "zero", n="0")
    RawClient(broker.port).put("epictopic", "one", n="1")
    assert [readers[0].message(), readers[0].message()] == ["zero", "one"]
    assert readers[1].message() == "one"


def test_many_unmatched_messages_cost_nothing(broker) -> None:
    sender, reader = RawClient(broker.port), RawClient(broker.port)
    for n in range(30_000):
        sender.send("SEND", {"destination": QUEUE, "run_id": "old"}, b"%d" % n)
    sender.receipt("SEND", {"destination": QUEUE, "run_id": "old"})
    reader.subscribe(QUEUE, selector="run_id = 'new'")
    start = time.monotonic()
    for n in range(1000):
        sender.send("SEND", {"destination": QUEUE, "run_id": "new"}, b"%d" % n)
        message = reader.read("MESSAGE")
        assert message.body == b"%d" % n
        reader.send("ACK", {"id": message.headers["ack"]})
    assert time.monotonic() - start < 10
