# SPDX-License-Identifier: GPL-3.0-or-later
"""The waiting messages of one anycast address.

Each message is tested once against each selector of the address. So a message that no subscription
reads does not delay the messages behind it, and an acknowledgement does not search the address.
"""

from __future__ import annotations

import heapq
import math

from swf_broker.messages import Message
from swf_broker.selector import Selector

_STALE_ENTRIES = 1000


class View:
    """The messages that a selector matches, for all subscriptions with the same selector. Without a
    selector, these are all messages."""

    def __init__(self, selector: Selector | None) -> None:
        self.selector = selector
        self.subscriptions = 0
        # A heap of sequences: a returned message takes its former position. Messages that were
        # taken through another view are still in it.
        self.order: list[int] = []

    def matches(self, message: Message) -> bool:
        return self.selector is None or self.selector.matches(message.headers)


class Waiting:
    """The messages, in the order of their sequence.

    :ivar unread: the messages that no subscription reads, because there is none, or because of its
        selector
    :ivar unread_bytes: their size
    :ivar left: when the last consumer left them, as a time of the monotonic clock
    """

    def __init__(self) -> None:
        self.unread: dict[int, Message] = {}
        self.unread_bytes = 0
        self.left = -math.inf
        self._unread_order: list[int] = []  # a heap of the keys of `unread`
        self._readable: dict[int, Message] = {}
        self._views: dict[str | None, View] = {}

    def __len__(self) -> int:
        return len(self._readable) + len(self.unread)

    def open(self, selector: Selector | None) -> View:
        """The view for a new subscription; `close` ends it."""
        key = selector.text if selector else None
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = View(selector)
            self._fill(view)
        view.subscriptions += 1
        return view

    def close(self, view: View, now: float) -> None:
        """End the view of one subscription."""
        view.subscriptions -= 1
        if view.subscriptions:
            return
        del self._views[view.selector.text if view.selector else None]
        for sequence in set(view.order):
            message = self._readable.get(sequence)
            if message and not any(other.matches(message) for other in self._views.values()):
                del self._readable[sequence]
                self._add_unread(message)
                self.left = now

    def add(self, message: Message) -> None:
        """Add a new or a returned message."""
        readers = [view for view in self._views.values() if view.matches(message)]
        if not readers:
            self._add_unread(message)
            return
        self._readable[message.sequence] = message
        for view in readers:
            heapq.heappush(view.order, message.sequence)
            if len(view.order) > 2 * len(self._readable) + _STALE_ENTRIES:
                view.order = list(self._readable.keys() & set(view.order))
                heapq.heapify(view.order)

    def take(self, view: View) -> Message | None:
        """Remove and return the oldest message of a view."""
        while view.order:
            message = self._readable.pop(heapq.heappop(view.order), None)
            if message:
                return message
        return None

    def oldest_unread(self) -> Message:
        return self.unread[self._unread_order[0]]

    def take_unread(self) -> Message:
        """Remove and return the oldest message that nobody reads."""
        message = self.unread.pop(heapq.heappop(self._unread_order))
        self.unread_bytes -= message.cost
        return message

    def _add_unread(self, message: Message) -> None:
        self.unread[message.sequence] = message
        self.unread_bytes += message.cost
        heapq.heappush(self._unread_order, message.sequence)

    def _fill(self, view: View) -> None:
        """Add all matching messages to a new view."""
        view.order = [seq for seq, message in self._readable.items() if view.matches(message)]
        for message in list(self.unread.values()):
            if view.matches(message):
                del self.unread[message.sequence]
                self.unread_bytes -= message.cost
                self._readable[message.sequence] = message
                view.order.append(message.sequence)
        heapq.heapify(view.order)
        self._unread_order = list(self.unread)
        heapq.heapify(self._unread_order)
