# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of the broker."""

from __future__ import annotations

from dataclasses import dataclass, field

from swf_testbed_cli.broker.frames import encode_headers

# The approximate memory of one message in addition to its body; it counts towards the limit.
OVERHEAD_BYTES = 600


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
    _encoded: tuple[str, bytes] | None = field(default=None, repr=False)

    @property
    def destination(self) -> str:
        return self.headers["destination"]

    @property
    def message_id(self) -> str:
        return self.headers["message-id"]

    @property
    def cost(self) -> int:
        """The bytes that count towards the broker's limit."""
        return OVERHEAD_BYTES + len(self.body)

    def __lt__(self, other: Message) -> bool:
        return self.sequence < other.sequence

    def encode(self, version: str, delivery_headers: bytes) -> bytes:
        """The MESSAGE frame for one delivery; `delivery_headers` are encoded lines (subscription,
        ack)."""
        if self._encoded is None or self._encoded[0] != version:
            lines = encode_headers(self.headers, version)
            self._encoded = (version, b"MESSAGE\n%scontent-length:%d\n" % (lines, len(self.body)))
        again = b"redelivered:true\n" if self.redelivered else b""
        return b"%s%s%s\n%s\0" % (self._encoded[1], delivery_headers, again, self.body)
