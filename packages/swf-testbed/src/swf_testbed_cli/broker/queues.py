# SPDX-License-Identifier: GPL-3.0-or-later
"""Queues and topics: the distribution of messages to subscriptions, and their acknowledgement.

Everything runs in one thread and never waits, so each call leaves a consistent state.
"""

from __future__ import annotations

import heapq
import logging
import uuid
from collections import deque
from collections.abc import Callable
from typing import Protocol

from swf_testbed_cli.broker.frames import ProtocolError
from swf_testbed_cli.broker.messages import Message
from swf_testbed_cli.broker.store import MessageStore

log = logging.getLogger(__name__)

DEAD_LETTERS = "/queue/DLQ"
MAX_NACKS = 10
DEFAULT_PREFETCH = 100
# Headers of a single delivery or of the sender, which are not part of the message.
_NOT_FORWARDED = frozenset(
    {"receipt", "transaction", "content-length", "message-id", "subscription", "ack", "redelivered"}
)


class Consumer(Protocol):
    """The interface of a connection to the queues."""

    @property
    def accepts_messages(self) -> bool:
        """False while the client reads too slowly."""

    def deliver(self, subscription: Subscription, message: Message) -> None:
        """Send a MESSAGE frame. It never blocks, and never raises for a broken connection."""


class Subscription:
    """One SUBSCRIBE of one connection. `ack` is auto, client or client-individual."""

    def __init__(
        self, consumer: Consumer, key: str, destination: str, ack: str, prefetch: int
    ) -> None:
        self.consumer = consumer
        self.key = key
        self.destination = destination
        self.ack = ack
        self.prefetch = prefetch
        # Delivered, unacknowledged messages by message-id, in the order of delivery.
        self.in_flight: dict[str, Message] = {}

    @property
    def ready(self) -> bool:
        """Whether it can receive another message now."""
        return len(self.in_flight) < self.prefetch and self.consumer.accepts_messages


class _Queue:
    def __init__(self) -> None:
        self.waiting: list[Message] = []  # a heap: a returned message takes its former position
        self.subscriptions: deque[Subscription] = deque()


class Switchboard:
    """All queues and topics of a broker.

    `max_bytes` limits the memory of the queues. Beyond it, a SEND is refused with a ProtocolError,
    so that senders wait and the host does not run out of memory.
    """

    def __init__(self, store: MessageStore | None, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._queues: dict[str, _Queue] = {}
        self._topics: dict[str, list[Subscription]] = {}
        self._boot = uuid.uuid4().hex[:12]
        self._sequence = 0
        for message in store.load() if store else ():
            self._sequence = message.sequence
            self._enqueue(message)

    @property
    def waiting(self) -> dict[str, int]:
        """The number of waiting messages of each queue that has any."""
        return {name: len(queue.waiting) for name, queue in self._queues.items() if queue.waiting}

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` when all changes so far are on disk; at once if they are already."""
        if self._store:
            self._store.when_durable(then)
        else:
            then()

    def check_send(self, headers: dict[str, str]) -> None:
        """Raise ProtocolError if a message with these headers cannot be accepted now."""
        if (
            checked_destination(headers).startswith("/queue/")
            and self._held_bytes > self._max_bytes
        ):
            raise ProtocolError(
                f"the queues are full: more than {self._max_bytes // 2**20} MiB are waiting"
            )

    def send(self, headers: dict[str, str], body: bytes) -> None:
        """Accept a message that passed `check_send`, for a queue or a topic."""
        destination = headers["destination"]
        forwarded = {k: v for k, v in headers.items() if k not in _NOT_FORWARDED}
        if destination.startswith("/topic/"):
            message = self._new_message(forwarded, body, persistent=False)
            for subscription in self._topics.get(destination, ()):
                subscription.consumer.deliver(subscription, message)
            return
        persistent = self._store is not None and headers.get("persistent") == "true"
        message = self._new_message(forwarded, body, persistent=persistent)
        if self._store and persistent:
            self._store.insert(message)
        self._dispatch(destination, self._enqueue(message))

    def subscribe(self, subscription: Subscription) -> None:
        """Register a subscription and deliver the waiting messages."""
        destination = subscription.destination
        if destination.startswith("/topic/"):
            self._topics.setdefault(destination, []).append(subscription)
            return
        queue = self._queues.setdefault(destination, _Queue())
        queue.subscriptions.append(subscription)
        self._dispatch(destination, queue)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a subscription; its unacknowledged messages return to their position in the
        queue."""
        destination = subscription.destination
        if destination.startswith("/topic/"):
            subscriptions = self._topics[destination]
            subscriptions.remove(subscription)
            if not subscriptions:
                del self._topics[destination]
            return
        queue = self._queues[destination]
        queue.subscriptions.remove(subscription)
        for message in subscription.in_flight.values():
            message.redelivered = True
            heapq.heappush(queue.waiting, message)
        subscription.in_flight.clear()
        self._dispatch(destination, queue)

    def acknowledge(self, subscription: Subscription, message_id: str) -> None:
        """Remove an acknowledged message (ack:client: and all before it)."""
        for message in self._take_in_flight(subscription, message_id):
            self._remove(message)
        self.resume(subscription)

    def reject(self, subscription: Subscription, message_id: str) -> None:
        """NACK: the message returns to its position, and after MAX_NACKS goes to the dead letter
        queue."""
        for message in self._take_in_flight(subscription, message_id):
            message.nacks += 1
            message.redelivered = True
            if message.nacks < MAX_NACKS:
                heapq.heappush(self._queues[subscription.destination].waiting, message)
            else:
                self._bury(message)
        self.resume(subscription)

    def resume(self, subscription: Subscription) -> None:
        """Deliver waiting messages, if the subscription is ready again."""
        queue = self._queues.get(subscription.destination)
        if queue is not None:
            self._dispatch(subscription.destination, queue)

    def _new_message(self, headers: dict[str, str], body: bytes, *, persistent: bool) -> Message:
        self._sequence += 1
        headers["message-id"] = f"{self._boot}-{self._sequence}"
        return Message(self._sequence, headers, body, persistent)

    def _enqueue(self, message: Message) -> _Queue:
        queue = self._queues.setdefault(message.destination, _Queue())
        heapq.heappush(queue.waiting, message)
        self._held_bytes += message.cost
        return queue

    def _dispatch(self, destination: str, queue: _Queue) -> None:
        subscriptions = queue.subscriptions
        passed_over = 0
        while queue.waiting and passed_over < len(subscriptions):
            subscription = subscriptions[0]
            subscriptions.rotate(-1)
            if not subscription.ready:
                passed_over += 1
                continue
            passed_over = 0
            message = heapq.heappop(queue.waiting)
            if subscription.ack != "auto":
                subscription.in_flight[message.message_id] = message
            subscription.consumer.deliver(subscription, message)
            if subscription.ack == "auto":
                self._remove(message)
        if not queue.waiting and not subscriptions:
            self._queues.pop(destination, None)

    @staticmethod
    def _take_in_flight(subscription: Subscription, message_id: str) -> list[Message]:
        in_flight = subscription.in_flight
        if subscription.ack == "client-individual":
            return [in_flight.pop(message_id)]
        removed = []
        for key in list(in_flight):
            removed.append(in_flight.pop(key))
            if key == message_id:
                break
        return removed

    def _remove(self, message: Message) -> None:
        self._held_bytes -= message.cost
        if self._store and message.persistent:
            self._store.delete(message)

    def _bury(self, message: Message) -> None:
        log.error(
            "rejected too often, moved to the dead letter queue",
            extra={"destination": message.destination},
        )
        self._remove(message)
        headers = {
            **message.headers,
            "original-destination": message.destination,
            "destination": DEAD_LETTERS,
        }
        dead = self._new_message(headers, message.body, persistent=message.persistent)
        if self._store and dead.persistent:
            self._store.insert(dead)
        self._dispatch(DEAD_LETTERS, self._enqueue(dead))


def checked_destination(headers: dict[str, str]) -> str:
    """The destination header; raises ProtocolError if it is invalid."""
    destination = headers.get("destination", "")
    if not destination.startswith(("/queue/", "/topic/")) or len(destination) <= len("/queue/"):
        raise ProtocolError("destination must be /queue/<name> or /topic/<name>")
    return destination
