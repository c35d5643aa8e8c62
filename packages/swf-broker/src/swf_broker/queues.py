# SPDX-License-Identifier: GPL-3.0-or-later
"""The distribution of messages to subscriptions, and their acknowledgement.

Everything runs in one thread and never waits, so each call leaves a consistent state.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from swf_broker import unread
from swf_broker.frames import ProtocolError
from swf_broker.messages import Message, new_message_id
from swf_broker.routing import DEAD_LETTERS, Routing, checked_destination
from swf_broker.selector import Selector
from swf_broker.store import MessageStore
from swf_broker.waiting import View, Waiting

log = logging.getLogger(__name__)

MAX_NACKS = 10
DEFAULT_PREFETCH = 100
# If the queues are full, unread messages are dropped down to this part of the limit.
ROOM = 0.9
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

    view: View  # of its anycast address

    def __init__(
        self,
        consumer: Consumer,
        key: str,
        destination: str,
        ack: str,
        prefetch: int,
        selector: Selector | None = None,
    ) -> None:
        self.consumer = consumer
        self.key = key
        self.destination = destination
        self.ack = ack
        self.prefetch = prefetch
        self.selector = selector
        # Delivered, unacknowledged messages by message-id, in the order of delivery.
        self.in_flight: dict[str, Message] = {}

    @property
    def ready(self) -> bool:
        """Whether it can receive another message now."""
        return len(self.in_flight) < self.prefetch and self.consumer.accepts_messages


class _Queue:
    def __init__(self) -> None:
        self.waiting = Waiting()
        self.subscriptions: deque[Subscription] = deque()


class Switchboard:
    """All addresses of a broker.

    `max_bytes` limits the memory of the queues. Beyond it, the oldest messages that nobody reads
    are dropped; if there are none, a SEND is refused with a ProtocolError, so that senders wait and
    the host does not run out of memory.
    """

    def __init__(
        self,
        store: MessageStore | None,
        routing: Routing,
        max_bytes: int,
        limits: unread.UnreadLimits,
    ) -> None:
        self.dropped = unread.DropReport()
        self._store = store
        self._routing = routing
        self._max_bytes = max_bytes
        self._limits = limits
        self._held_bytes = 0
        self._queues: dict[str, _Queue] = {}
        self._topics: dict[str, list[Subscription]] = {}
        self._boot = uuid.uuid4().hex[:12]
        self._sequence = 0
        if store:
            self._load(store)

    @property
    def waiting(self) -> dict[str, int]:
        """The number of waiting messages of each queue that has any."""
        counts = {name: len(queue.waiting) for name, queue in self._queues.items()}
        return {name: count for name, count in counts.items() if count}

    def when_durable(self, then: Callable[[], None]) -> None:
        """Call `then` when all changes so far are on disk; at once if they are already."""
        if self._store:
            self._store.when_durable(then)
        else:
            then()

    def check_send(self, headers: dict[str, str]) -> None:
        """Raise ProtocolError if a message with these headers cannot be accepted now."""
        if not self._routing.is_anycast(checked_destination(headers)):
            return
        if self._held_bytes > self._max_bytes:
            self._make_room()
        if self._held_bytes > self._max_bytes:
            raise ProtocolError(
                f"the queues are full: more than {self._max_bytes // 2**20} MiB are waiting"
            )

    def send(self, headers: dict[str, str], body: bytes) -> None:
        """Accept a message that passed `check_send`."""
        destination = headers["destination"]
        forwarded = {k: v for k, v in headers.items() if k not in _NOT_FORWARDED}
        if not self._routing.is_anycast(destination):
            message = self._new_message(forwarded, body, persistent=False)
            for subscription in self._topics.get(destination, ()):
                if subscription.selector is None or subscription.selector.matches(message.headers):
                    subscription.consumer.deliver(subscription, message)
            return
        persistent = self._store is not None and headers.get("persistent") == "true"
        self._accept(self._new_message(forwarded, body, persistent=persistent))

    def subscribe(self, subscription: Subscription) -> None:
        """Register a subscription and deliver the waiting messages."""
        destination = subscription.destination
        if not self._routing.is_anycast(destination):
            self._topics.setdefault(destination, []).append(subscription)
            return
        queue = self._queues.setdefault(destination, _Queue())
        subscription.view = queue.waiting.open(subscription.selector)
        queue.subscriptions.append(subscription)
        self._dispatch(destination, queue)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a subscription; its unacknowledged messages return to their position in the
        queue."""
        destination = subscription.destination
        if not self._routing.is_anycast(destination):
            subscriptions = self._topics[destination]
            subscriptions.remove(subscription)
            if not subscriptions:
                del self._topics[destination]
            return
        queue = self._queues[destination]
        queue.subscriptions.remove(subscription)
        for message in subscription.in_flight.values():
            message.redelivered = True
            queue.waiting.add(message)
        subscription.in_flight.clear()
        queue.waiting.close(subscription.view, time.monotonic())
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
                self._queues[subscription.destination].waiting.add(message)
            else:
                self._bury(message)
        self.resume(subscription)

    def resume(self, subscription: Subscription) -> None:
        """Deliver waiting messages, if the subscription is ready again."""
        queue = self._queues.get(subscription.destination)
        if queue is not None:
            self._dispatch(subscription.destination, queue)

    def tick(self) -> None:
        """Apply the limits of unread messages that depend on the time. Called regularly."""
        for destination, queue in list(self._queues.items()):
            self._limit_unread(destination, queue)
            self._dispatch(destination, queue)
        self.dropped.write()

    def _load(self, store: MessageStore) -> None:
        not_loaded: Counter[str] = Counter()
        for message in store.load():
            self._sequence = message.sequence
            if self._routing.is_anycast(message.destination):
                self._enqueue(message)
            else:
                not_loaded[message.destination] += 1
        for queue in self._queues.values():
            queue.waiting.left = time.monotonic()  # its consumers may return
        if not_loaded:
            log.warning(
                "stored messages of multicast addresses stay on disk until SWF_BROKER_ANYCAST "
                "contains the addresses",
                extra={"messages": dict(not_loaded)},
            )

    def _new_message(self, headers: dict[str, str], body: bytes, *, persistent: bool) -> Message:
        self._sequence += 1
        headers["message-id"] = new_message_id(self._boot, self._sequence)
        return Message(self._sequence, headers, body, persistent)

    def _accept(self, message: Message) -> None:
        """Queue a new message."""
        if self._store and message.persistent:
            self._store.insert(message)
        queue = self._enqueue(message)
        self._limit_unread(message.destination, queue)
        self._dispatch(message.destination, queue)

    def _enqueue(self, message: Message) -> _Queue:
        queue = self._queues.setdefault(message.destination, _Queue())
        queue.waiting.add(message)
        self._held_bytes += message.cost
        return queue

    def _dispatch(self, destination: str, queue: _Queue) -> None:
        waiting, subscriptions = queue.waiting, queue.subscriptions
        passed_over = 0
        while waiting and passed_over < len(subscriptions):
            subscription = subscriptions[0]
            subscriptions.rotate(-1)
            message = waiting.take(subscription.view) if subscription.ready else None
            if message is None:
                passed_over += 1
                continue
            passed_over = 0
            if subscription.ack != "auto":
                subscription.in_flight[message.message_id] = message
            subscription.consumer.deliver(subscription, message)
            if subscription.ack == "auto":
                self._remove(message)
        if not waiting and not subscriptions:
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
        self._accept(self._new_message(headers, message.body, persistent=message.persistent))

    # --- messages that nobody reads

    def _limit_unread(self, destination: str, queue: _Queue) -> None:
        """Drop the oldest messages of an address beyond the limits, but never the newest one."""
        waiting, limits = queue.waiting, self._limits
        if not waiting.unread or time.monotonic() - waiting.left < unread.GRACE_SECONDS:
            return
        while len(waiting.unread) > 1 and (
            len(waiting.unread) > limits.messages or waiting.unread_bytes > limits.size
        ):
            self._drop_oldest(destination, waiting)
        if limits.seconds:
            expired = time.time() - limits.seconds
            while waiting.unread and waiting.oldest_unread().arrived < expired:
                self._drop_oldest(destination, waiting)

    def _make_room(self) -> None:
        """Drop the oldest unread messages, those of the largest address first."""
        by_size = sorted(
            self._queues.items(), key=lambda item: item[1].waiting.unread_bytes, reverse=True
        )
        for destination, queue in by_size:
            while queue.waiting.unread and self._held_bytes > self._max_bytes * ROOM:
                self._drop_oldest(destination, queue.waiting)
            self._dispatch(destination, queue)  # which removes an empty queue

    def _drop_oldest(self, destination: str, waiting: Waiting) -> None:
        self._remove(waiting.take_unread())
        self.dropped.count(destination)
        self.dropped.write()
