# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses are read by one, and which by all."""

from __future__ import annotations

from pathlib import Path

import pytest
from stomp_client import RawClient

from swf_broker.routing import Routing


@pytest.mark.parametrize(
    ("address", "anycast"),
    [
        ("/queue/x", True),
        ("/topic/x", False),
        ("bare", False),
        ("work", True),
        ("/topic/work", True),
        ("/queue/news", False),
        ("/queue/news2", True),
        ("queue/x", False),
    ],
)
def test_a_declaration_precedes_the_prefix(address: str, anycast: bool) -> None:
    routing = Routing(frozenset({"work", "/topic/work"}), frozenset({"/queue/news", "news"}))
    assert routing.is_anycast(address) == anycast


def test_declared_addresses(start_broker) -> None:
    broker = start_broker(
        SWF_BROKER_ANYCAST="epicqueue, /topic/shared,", SWF_BROKER_MULTICAST="/queue/all"
    )
    sender = RawClient(broker.port)
    sender.put("epicqueue", "waits")
    sender.put("epictopic", "nobody was there")
    readers = [RawClient(broker.port) for _ in range(2)]
    for address in ("epictopic", "/topic/shared", "/queue/all"):
        for reader in readers:
            reader.receipt("SUBSCRIBE", {"id": address, "destination": address})
    readers[0].send("SUBSCRIBE", {"id": "q", "destination": "epicqueue"})
    assert readers[0].message() == "waits"
    for address in ("epictopic", "/queue/all"):
        sender.put(address, "to all")
        for reader in readers:
            message = reader.read("MESSAGE")
            assert (message.body, message.headers["destination"]) == (b"to all", address)
    sender.put("/topic/shared", "to one", "to the other")
    assert {reader.message() for reader in readers} == {"to one", "to the other"}
    assert all(reader.nothing_comes() for reader in readers)


def test_stored_messages_survive_a_wrong_declaration(start_broker, data_dir: Path) -> None:
    broker = start_broker(SWF_BROKER_DATA_DIR=str(data_dir), SWF_BROKER_ANYCAST="work")
    RawClient(broker.port).put("work", "one", persistent="true")
    assert broker.terminate() == 0

    broker = start_broker(SWF_BROKER_DATA_DIR=str(data_dir))
    assert broker.wait_for(
        "stored messages of multicast addresses stay on disk until SWF_BROKER_ANYCAST contains "
        "the addresses"
    )["messages"] == {"work": 1}
    RawClient(broker.port).put("/queue/other", "two", persistent="true")
    assert broker.terminate() == 0

    broker = start_broker(SWF_BROKER_DATA_DIR=str(data_dir), SWF_BROKER_ANYCAST="work")
    assert broker.wait_for("listening")["waiting"] == {"work": 1, "/queue/other": 1}
