# SPDX-License-Identifier: GPL-3.0-or-later
"""Persistent messages of queues, in one SQLite file.

One transaction contains all messages that arrived while the previous one was written, so a burst
needs few disk flushes. A receipt confirms that the message is on disk.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from swf_broker.messages import Message

log = logging.getLogger(__name__)

FILE_NAME = "messages.sqlite3"
RETRY_SECONDS = 1.0


class StoreError(Exception):
    """The data directory is unusable; the text is the cause, in one line."""


class MessageStore:
    """Opens (and creates) the data directory, for this process only. Raises StoreError."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._inserts: dict[int, Message] = {}
        self._deletes: list[int] = []
        self._callbacks: list[Callable[[], None]] = []
        self._writing = False
        self._closing = False
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "store")
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                self._path, isolation_level=None, timeout=1, check_same_thread=False
            )
            # Exclusive: a second broker in the same directory must fail, not deliver everything
            # twice.
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode=WAL")
            # Each commit flushes the WAL to the disk: a receipt is valid after a power cut, too.
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS messages"
                " (sequence INTEGER PRIMARY KEY, headers TEXT NOT NULL, body BLOB NOT NULL)"
            )
        except (OSError, sqlite3.Error) as error:
            cause = error.strerror if isinstance(error, OSError) else str(error)
            if "locked" in str(error):
                cause = "another broker uses it"
            raise StoreError(f"cannot store messages in {self._path}: {cause}") from error

    def load(self) -> Iterator[Message]:
        """All messages on disk, in order."""
        rows = self._database.execute(
            "SELECT sequence, headers, body FROM messages ORDER BY sequence"
        )
        for sequence, headers, body in rows:
            yield Message(sequence, json.loads(headers), body, persistent=True)

    def insert(self, message: Message) -> None:
        """Schedule a message to be written."""
        self._inserts[message.sequence] = message
        self._wake.set()

    def delete(self, message: Message) -> None:
        """Schedule a message to be removed; if it is not written yet, it is never written."""
        if self._inserts.pop(message.sequence, None) is None:
            self._deletes.append(message.sequence)
        self._wake.set()

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` when everything scheduled so far is on disk; callbacks run in order."""
        if not (self._writing or self._inserts or self._deletes or self._callbacks):
            then()
            return
        self._callbacks.append(then)
        self._wake.set()

    async def run(self) -> None:
        """Write until `close` is called and everything is written. On a full disk, it waits."""
        while not self._closing or self._inserts or self._deletes or self._callbacks:
            await self._wake.wait()
            self._wake.clear()
            inserts, self._inserts = self._inserts, {}
            deletes, self._deletes = self._deletes, []
            callbacks, self._callbacks = self._callbacks, []
            if inserts or deletes:
                self._writing = True
                await self._write_until_it_works(list(inserts.values()), deletes)
                self._writing = False
            for then in callbacks:
                then()
        self._database.close()

    def close(self) -> None:
        """Make `run` return when everything is written."""
        self._closing = True
        self._wake.set()

    async def _write_until_it_works(self, inserts: list[Message], deletes: list[int]) -> None:
        loop = asyncio.get_running_loop()
        logged = ""
        while True:
            try:
                await loop.run_in_executor(self._thread, self._write, inserts, deletes)
            except sqlite3.Error as error:
                if str(error) != logged:
                    logged = str(error)
                    log.error(
                        "cannot write messages, trying again",
                        extra={"path": str(self._path), "cause": logged},
                    )
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if logged:
                    log.info("messages are written again", extra={"path": str(self._path)})
                return

    def _write(self, inserts: list[Message], deletes: list[int]) -> None:
        execute = self._database.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(
                "INSERT INTO messages VALUES (?, ?, ?)",
                ((m.sequence, json.dumps(m.headers), m.body) for m in inserts),
            )
            self._database.executemany(
                "DELETE FROM messages WHERE sequence = ?", ((s,) for s in deletes)
            )
            execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                execute("ROLLBACK")
            raise
