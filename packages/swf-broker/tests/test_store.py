# SPDX-License-Identifier: GPL-3.0-or-later
"""The store, with a disk that is slow or full."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from swf_broker import store as store_module
from swf_broker.messages import Message
from swf_broker.store import MessageStore


def message(sequence: int) -> Message:
    headers = {"destination": "/queue/q", "message-id": str(sequence)}
    return Message(sequence, headers, b"body", persistent=True)


def on_disk(data_dir: Path) -> list[int]:
    """The messages that a new broker would load."""

    async def load() -> list[int]:
        store = MessageStore(data_dir)
        found = [m.sequence for m in store.load()]
        store.close()
        await store.run()
        return found

    return asyncio.run(load())


def test_nothing_is_confirmed_before_it_is_on_disk(data_dir: Path) -> None:
    async def scenario() -> None:
        store = MessageStore(data_dir)
        disk = threading.Event()
        write = store._write

        def slow_write(inserts: list[Message], deletes: list[int]) -> None:
            assert disk.wait(20)
            write(inserts, deletes)

        store._write = slow_write  # type: ignore[method-assign]
        running = asyncio.create_task(store.run())
        done: list[str] = []
        store.insert(message(1))
        store.when_durable(lambda: done.append("first"))
        await asyncio.sleep(0.1)
        store.insert(message(2))
        store.delete(message(1))
        store.when_durable(lambda: done.append("second"))
        await asyncio.sleep(0.1)
        assert done == []
        disk.set()
        store.close()
        await asyncio.wait_for(running, 20)
        assert done == ["first", "second"]

    asyncio.run(scenario())
    assert on_disk(data_dir) == [2]


def test_a_full_disk_is_waited_for(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_module, "RETRY_SECONDS", 0.01)

    async def scenario() -> None:
        store = MessageStore(data_dir)
        write = store._write
        refusals = iter(range(5))

        def full_disk(inserts: list[Message], deletes: list[int]) -> None:
            if next(refusals, None) is not None:
                raise sqlite3.OperationalError("database or disk is full")
            write(inserts, deletes)

        store._write = full_disk  # type: ignore[method-assign]
        running = asyncio.create_task(store.run())
        written = asyncio.Event()
        store.insert(message(7))
        store.when_durable(written.set)
        await asyncio.wait_for(written.wait(), 20)
        store.close()
        await asyncio.wait_for(running, 20)

    asyncio.run(scenario())
    assert on_disk(data_dir) == [7]
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == [
        "cannot write messages, trying again"
    ]
