# SPDX-License-Identifier: GPL-3.0-or-later
"""The guarantees for clients of each STOMP version, over real sockets."""

from __future__ import annotations

import pytest
import stomp
from stomp_client import RawClient

QUEUE = "/queue/q"


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_a_message_in_each_version(broker, version: str) -> None:
    client = RawClient(broker.port, version)
    client.subscribe(QUEUE, ack="client")
    client.send("SEND", {"destination": QUEUE, "colour": "blue", "receipt": "r"}, b"body")
    frames = {frame.command: frame for frame in (client.next(), client.next()) if frame}
    message = frames["MESSAGE"]
    assert frames["RECEIPT"].headers == {"receipt-id": "r"}
    assert message.body == b"body"
    assert message.headers["colour"] == "blue"
    assert message.headers["subscription"] == "s"
    assert "receipt" not in message.headers, "the sender's receipt is no business of the consumer"
    assert ("ack" in message.headers) == (version == "1.2")
    settle = {"id": message.headers["message-id"]} if version == "1.2" else message.headers
    client.receipt(
        "ACK", {k: settle[k] for k in ("id", "message-id", "subscription") if k in settle}
    )
    client.close()
    again = RawClient(broker.port)
    again.subscribe(QUEUE)
    assert again.nothing_comes()


def test_the_best_version_wins(broker) -> None:
    raw = RawClient(broker.port, "")
    raw.send("STOMP", {"accept-version": "1.0,1.1,1.2,2.0", "host": "h"})
    assert raw.read("CONNECTED").headers["version"] == "1.2"


@pytest.mark.parametrize(
    ("command", "headers", "cause"),
    [
        ("SEND", {"destination": QUEUE}, "first frame must be CONNECT"),
        ("CONNECT", {"accept-version": "9.9"}, "supported protocol versions"),
        ("CONNECT", {"accept-version": "1.2", "heart-beat": "x"}, "heart-beat"),
    ],
)
def test_a_bad_first_frame(broker, command: str, headers: dict[str, str], cause: str) -> None:
    raw = RawClient(broker.port, "")
    raw.send(command, headers)
    assert cause in raw.refused_because()


@pytest.mark.parametrize(
    ("command", "headers", "cause"),
    [
        ("SEND", {}, "destination must be"),
        ("SEND", {"destination": "/queue/"}, "destination must be"),
        ("SUBSCRIBE", {"destination": QUEUE}, "needs an id"),
        ("SUBSCRIBE", {"destination": QUEUE, "id": "1", "ack": "perhaps"}, "ack must be"),
        (
            "SUBSCRIBE",
            {"destination": QUEUE, "id": "1", "selector": "a = "},
            "the selector is invalid: a header or a value expected instead of the end",
        ),
        (
            "SUBSCRIBE",
            {"destination": QUEUE, "id": "1", "activemq.prefetchSize": "0"},
            "prefetchSize",
        ),
        ("UNSUBSCRIBE", {"id": "1"}, "no such subscription"),
        ("ACK", {"message-id": "1"}, "needs the header id"),
        ("COMMIT", {"transaction": "t"}, "no such transaction"),
        ("SEND", {"destination": QUEUE, "transaction": "t"}, "no such transaction"),
        ("CONNECT", {}, "connected already"),
        ("JUMP", {}, "unknown command"),
    ],
)
def test_a_bad_frame_ends_the_connection(
    broker, command: str, headers: dict[str, str], cause: str
) -> None:
    client = RawClient(broker.port)
    client.send(command, {**headers, "receipt": "r7"})
    error = client.read("ERROR")
    assert cause in error.headers["message"]
    assert error.headers["receipt-id"] == "r7"
    assert client.next() is None


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_unacknowledged_goes_to_the_next_in_order(broker, version: str) -> None:
    first = RawClient(broker.port, version)
    first.put(QUEUE, "a", "b", "c", "d")
    first.subscribe(QUEUE)
    frames = [first.read("MESSAGE") for _ in "abcd"]
    received = frames[1].headers
    first.receipt(
        "ACK",
        {"id": received["ack"]}
        if version == "1.2"
        else {"subscription": "s", "message-id": received["message-id"]},
    )
    first.close()  # no DISCONNECT: as a killed client does
    second = RawClient(broker.port)
    second.subscribe(QUEUE)
    again = [second.read("MESSAGE") for _ in "acd"]
    assert [frame.body for frame in again] == [b"a", b"c", b"d"]
    assert {frame.headers.get("redelivered") for frame in again} == {"true"}
    assert second.nothing_comes()


def test_client_ack_is_cumulative(broker) -> None:
    first = RawClient(broker.port)
    first.put(QUEUE, "a", "b", "c")
    first.subscribe(QUEUE, ack="client")
    frames = [first.read("MESSAGE") for _ in "abc"]
    first.receipt("ACK", {"id": frames[1].headers["ack"]})
    first.receipt("DISCONNECT", {})
    assert first.next() is None
    second = RawClient(broker.port)
    second.subscribe(QUEUE)
    assert second.message() == "c"
    assert second.nothing_comes()


def test_prefetch_leaves_work_for_others(broker) -> None:
    first, second = RawClient(broker.port), RawClient(broker.port)
    first.put(QUEUE, "a", "b", "c")
    for client in (first, second):
        client.subscribe(QUEUE, **{"activemq.prefetchSize": "1"})
    frame = first.read("MESSAGE")
    assert frame.body == b"a"
    assert second.message() == "b"
    assert first.nothing_comes()
    assert second.nothing_comes()
    first.send("ACK", {"id": frame.headers["ack"]})
    assert first.message() == "c"


def test_nack_delivers_again_and_in_the_end_buries(broker) -> None:
    client = RawClient(broker.port)
    client.put(QUEUE, "poison", label="bad")
    client.subscribe(QUEUE)
    for _ in range(10):
        client.send("NACK", {"id": client.read("MESSAGE").headers["ack"]})
    assert client.nothing_comes()
    client.send("SUBSCRIBE", {"id": "dead", "destination": "/queue/DLQ"})
    dead = client.read("MESSAGE")
    assert (dead.body, dead.headers["original-destination"], dead.headers["label"]) == (
        b"poison",
        QUEUE,
        "bad",
    )


def test_unsubscribe_gives_back(broker) -> None:
    client = RawClient(broker.port)
    client.put(QUEUE, "a")
    client.subscribe(QUEUE)
    late = client.read("MESSAGE").headers["ack"]
    client.receipt("UNSUBSCRIBE", {"id": "s"})
    client.receipt("ACK", {"id": late})  # too late, and harmless
    client.subscribe(QUEUE)
    assert client.message() == "a"


def test_topics_reach_all_and_are_not_stored(broker) -> None:
    listeners = [RawClient(broker.port) for _ in range(3)]
    for client in listeners:
        client.receipt(
            "SUBSCRIBE", {"id": "t", "destination": "/topic/news", "ack": "client-individual"}
        )
    sender = RawClient(broker.port)
    sender.put("/topic/news", "one", "two")
    for client in listeners:
        assert client.message() == "one"
        client.receipt("ACK", {"id": client.read("MESSAGE").headers["ack"]})
    late = RawClient(broker.port)
    late.receipt("SUBSCRIBE", {"id": "t", "destination": "/topic/news"})
    assert late.nothing_comes()


def test_transactions(broker) -> None:
    sender, other = RawClient(broker.port), RawClient(broker.port)
    other.receipt("SUBSCRIBE", {"id": "s", "destination": QUEUE})
    for end, expected in (("ABORT", []), ("COMMIT", ["a", "b"])):
        sender.send("BEGIN", {"transaction": "t"})
        for body in (b"a", b"b"):
            sender.receipt("SEND", {"destination": QUEUE, "transaction": "t"}, body)
        assert other.nothing_comes()
        sender.receipt(end, {"transaction": "t"})
        assert [other.message() for _ in expected] == expected
    assert other.nothing_comes()


def test_many_receipts_stay_in_order(broker) -> None:
    client = RawClient(broker.port)
    for n in range(500):
        client.send("SEND", {"destination": QUEUE, "receipt": str(n)}, b"x")
    assert [client.read("RECEIPT").headers["receipt-id"] for _ in range(500)] == [
        str(n) for n in range(500)
    ]


def test_a_frame_that_comes_in_pieces(broker) -> None:
    client = RawClient(broker.port)
    client.subscribe(QUEUE, ack="auto")
    frame = b"SEND\ndestination:/queue/q\nat:12\\c00\n\nlate\0"
    for n in range(len(frame)):
        client.socket.sendall(frame[n : n + 1])
    message = client.read("MESSAGE")
    assert (message.body, message.headers["at"]) == (b"late", "12:00")


def test_a_large_body(broker) -> None:
    client = RawClient(broker.port)
    client.subscribe(QUEUE, ack="auto")
    body = bytes(range(256)) * 40_000
    client.send("SEND", {"destination": QUEUE, "content-length": str(len(body))}, body)
    assert client.read("MESSAGE").body == body


def test_a_queue_with_a_slow_consumer_is_bounded(start_broker) -> None:
    broker = start_broker(SWF_BROKER_MAX_QUEUED_MB="1")
    consumer = RawClient(broker.port)
    consumer.subscribe(QUEUE, **{"activemq.prefetchSize": "1"})
    sender = RawClient(broker.port)
    sender.put(QUEUE, "x" * 600_000, "y" * 600_000)
    sender.send("SEND", {"destination": QUEUE}, b"more")
    assert "the queues are full" in sender.refused_because()
    consumer.send("ACK", {"id": consumer.read("MESSAGE").headers["ack"]})
    second = consumer.read("MESSAGE")
    consumer.send("SEND", {"destination": QUEUE}, b"room again")
    consumer.send("ACK", {"id": second.headers["ack"]})
    assert consumer.message() == "room again"


class TestLogin:
    @pytest.fixture
    def port(self, start_broker, tmp_path) -> int:
        secret = tmp_path / "password"
        secret.write_text("pässword\n")
        return start_broker(SWF_BROKER_USER="swf", SWF_BROKER_PASSWORD_FILE=str(secret)).port

    def test_right(self, port: int) -> None:
        assert (
            RawClient(port, login="swf", passcode="pässword").connected.headers["version"] == "1.2"
        )
        connection = stomp.Connection12([("127.0.0.1", port)])
        connection.connect("swf", "pässword", wait=True)
        connection.disconnect()

    @pytest.mark.parametrize(
        "login",
        [
            {},
            {"login": "swf"},
            {"login": "swf", "passcode": "wrong"},
            {"login": "x", "passcode": "pässword"},
        ],
    )
    def test_wrong(self, port: int, login: dict[str, str]) -> None:
        raw = RawClient(port, "")
        raw.send("CONNECT", {"accept-version": "1.2", "host": "h", **login})
        raw.send("SEND", {"destination": QUEUE}, b"let me in")
        assert "login refused" in raw.read("ERROR").headers["message"]
        assert raw.next() is None
