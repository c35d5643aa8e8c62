# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of the broker."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from swf_broker.frames import encode_headers

# The approximate memory of one message in addition to its texts; it counts towards the limits.
OVERHEAD_BYTES = 600
# For messages that a broker of an earlier version stored without a time.
_STARTED = time.time()
_MESSAGE_ID = re.compile(r"[0-9a-f]+-(\d+)-\d+", re.ASCII)


def new_message_id(boot: str, sequence: int) -> str:
    """A unique id. It contains the time, in milliseconds, so that the store has it, too."""
    return f"{boot}-{int(time.time() * 1000)}-{sequence}"


@dataclass(eq=False, slots=True)
class Message:
    """A message that a client sent to a destination.

    `sequence` orders the messages of the whole broker and is the key on disk. `headers` go to the
    consumer unchanged; they contain `destination` and `message-id`, but no headers of a single
    delivery.
    """

    sequence: int
    headers: dict[str, str]
    body: bytes
    persistent: bool = False
    redelivered: bool = False
    nacks: int = 0
    # The bytes that count towards the limits.
    cost: int = field(init=False)
    _encoded: tuple[str, bytes] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        headers = sum(map(len, self.headers)) + sum(map(len, self.headers.values()))
        self.cost = OVERHEAD_BYTES + headers + len(self.body)

    @property
    def destination(self) -> str:
        return self.headers["destination"]

    @property
    def message_id(self) -> str:
        return self.headers["message-id"]

    @property
    def arrived(self) -> float:
        """When the broker received it, in seconds since 1970."""
        found = _MESSAGE_ID.fullmatch(self.message_id)
        return int(found[1]) / 1000 if found else _STARTED

    def encode(self, version: str, delivery_headers: bytes) -> bytes:
        """The MESSAGE frame for one delivery; `delivery_headers` are encoded lines (subscription,
        ack)."""
        if self._encoded is None or self._encoded[0] != version:
            lines = encode_headers(self.headers, version)
            self._encoded = (version, b"MESSAGE\n%scontent-length:%d\n" % (lines, len(self.body)))
        again = b"redelivered:true\n" if self.redelivered else b""
        return b"%s%s%s\n%s\0" % (self._encoded[1], delivery_headers, again, self.body)
