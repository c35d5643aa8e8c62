# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses are queues, and which are topics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swf_broker.frames import ProtocolError

QUEUE_PREFIX = "/queue/"
TOPIC_PREFIX = "/topic/"
# The queue of messages that were rejected too often.
DEAD_LETTERS = "/queue/DLQ"


@dataclass(frozen=True)
class Routing:
    """The declared addresses, with the terms of Artemis: each message of an anycast address goes to
    one of its subscriptions, and each message of a multicast address to all of them.

    Without a declaration, an address is anycast if its name begins with `/queue/`; else, also
    without any prefix, multicast.
    """

    anycast: frozenset[str] = frozenset()
    multicast: frozenset[str] = frozenset()

    def is_anycast(self, address: str) -> bool:
        if address in self.anycast:
            return True
        return address.startswith(QUEUE_PREFIX) and address not in self.multicast


def checked_destination(headers: Mapping[str, str]) -> str:
    """The destination header; raises ProtocolError if it is invalid."""
    destination = headers.get("destination", "")
    if destination in ("", QUEUE_PREFIX, TOPIC_PREFIX):
        raise ProtocolError(
            "destination must be the name of an address, such as /queue/<name> or /topic/<name>"
        )
    return destination
