# SPDX-License-Identifier: GPL-3.0-or-later
"""20,000 messages from 4 clients at once: none is lost or duplicated, no client disconnected."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import stomp

CLIENTS = 4
PER_CLIENT = 5_000
TOTAL = CLIENTS * PER_CLIENT


class Watcher(stomp.ConnectionListener):
    """Counts the errors."""

    def __init__(self) -> None:
        self.disconnects = 0
        self.errors: list[str] = []
        self.closing = False

    def on_disconnected(self) -> None:
        self.disconnects += not self.closing

    def on_error(self, frame) -> None:
        self.errors.append(frame.body)


class Sender(Watcher):
    """Sends its share; with receipts, at most 100 messages are unconfirmed."""

    def __init__(self, port: int, number: int, receipts: bool) -> None:
        super().__init__()
        self.number = number
        self.receipts = receipts
        self.room = threading.Semaphore(100)
        self.confirmed = 0
        self.connection = stomp.Connection12([("127.0.0.1", port)], heartbeats=(10_000, 10_000))
        self.connection.set_listener("", self)
        self.connection.connect(wait=True)

    def on_receipt(self, frame) -> None:
        self.confirmed += 1
        self.room.release()

    def run(self) -> None:
        for n in range(PER_CLIENT):
            body = json.dumps({"id": f"{self.number}.{n}", "pad": "x" * (n % 700)})
            headers = {"persistent": "true", "sent-at": "12:00:01"}
            if self.receipts:
                assert self.room.acquire(timeout=60)
                headers["receipt"] = f"r{n}"
            self.connection.send(
                "/queue/burst", body, content_type="application/json", headers=headers
            )


class Receiver(Watcher):
    """Acknowledges each message after it has been counted."""

    def __init__(self, port: int, ack: str, seen: Counter[str]) -> None:
        super().__init__()
        self.ack = ack
        self.seen = seen
        self.connection = stomp.Connection12([("127.0.0.1", port)], heartbeats=(10_000, 10_000))
        self.connection.set_listener("", self)
        self.connection.connect(wait=True)
        self.connection.subscribe("/queue/burst", id="1", ack=ack)

    def on_message(self, frame) -> None:
        self.seen[json.loads(frame.body)["id"]] += 1
        if self.ack != "auto":
            self.connection.ack(frame.headers["ack"])


@pytest.mark.parametrize(
    ("receipts", "ack", "stored"),
    [
        (False, "auto", False),
        (True, "client-individual", False),
        (False, "client-individual", True),
        (True, "client-individual", True),
    ],
)
def test_burst(start_broker, data_dir: Path, receipts: bool, ack: str, stored: bool) -> None:
    broker = start_broker(**({"SWF_BROKER_DATA_DIR": str(data_dir)} if stored else {}))
    seen: Counter[str] = Counter()
    receivers = [Receiver(broker.port, ack, seen) for _ in range(2)]
    senders = [Sender(broker.port, n, receipts) for n in range(CLIENTS)]
    start = time.monotonic()
    threads = [threading.Thread(target=sender.run) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    sent = time.monotonic()
    while sum(seen.values()) < TOTAL and time.monotonic() < start + 120:
        time.sleep(0.05)
    took = time.monotonic() - start
    print(f"\n{receipts=} {ack=} {stored=}: sent in {sent - start:.1f} s, received in {took:.1f} s")
    time.sleep(0.3)  # a doubled message would come now

    assert len(seen) == TOTAL, "lost"
    assert sum(seen.values()) == TOTAL, "doubled"
    for client in [*senders, *receivers]:
        assert (client.disconnects, client.errors) == (0, [])
        assert client.connection.is_connected()
    if receipts:
        assert [sender.confirmed for sender in senders] == [PER_CLIENT] * CLIENTS
    for client in [*senders, *receivers]:
        client.closing = True
        client.connection.disconnect()
    assert broker.terminate() == 0
