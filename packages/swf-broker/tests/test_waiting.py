# SPDX-License-Identifier: GPL-3.0-or-later
"""The waiting messages of an address, compared with a list that is searched from its beginning."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from swf_broker import waiting as waiting_module
from swf_broker.messages import Message
from swf_broker.selector import Selector
from swf_broker.waiting import View, Waiting

SELECTORS = [None, *map(Selector, ("n = 1", "n <> 1", "n > 0"))]


class Comparison(RuleBasedStateMachine):
    views = Bundle("views")
    delivered = Bundle("delivered")

    def __init__(self) -> None:
        super().__init__()
        self.waiting = Waiting()
        self.expected: dict[int, Message] = {}
        self.open: list[View] = []
        self.sequence = 0

    @rule(n=st.integers(0, 2))
    def send(self, n: int) -> None:
        self.sequence += 1
        message = Message(self.sequence, {"n": str(n)}, b"x" * n)
        self.expected[message.sequence] = message
        self.waiting.add(message)

    @rule(target=views, selector=st.sampled_from(SELECTORS))
    def subscribe(self, selector: Selector | None) -> View:
        view = self.waiting.open(selector)
        self.open.append(view)
        return view

    @rule(view=consumes(views))
    def unsubscribe(self, view: View) -> None:
        self.open.remove(view)
        self.waiting.close(view, 5.0)

    @rule(target=delivered, view=views)
    def take(self, view: View):
        message = self.waiting.take(view)
        matching = [m for _, m in sorted(self.expected.items()) if view.matches(m)]
        assert message is (matching[0] if matching else None)
        if message is None:
            return multiple()
        del self.expected[message.sequence]
        return message

    @rule(message=consumes(delivered))
    def give_back(self, message: Message) -> None:
        self.expected[message.sequence] = message
        self.waiting.add(message)

    @precondition(lambda self: self.waiting.unread)
    @rule()
    def drop(self) -> None:
        oldest = self.waiting.oldest_unread()
        assert self.waiting.take_unread() is oldest
        assert oldest.sequence == min(self.unread())
        del self.expected[oldest.sequence]

    def unread(self) -> dict[int, Message]:
        return {
            sequence: message
            for sequence, message in self.expected.items()
            if not any(view.matches(message) for view in self.open)
        }

    @invariant()
    def the_counts_are_right(self) -> None:
        assert len(self.waiting) == len(self.expected)
        assert self.waiting.unread == self.unread()
        assert self.waiting.unread_bytes == sum(m.cost for m in self.unread().values())


TestComparison = Comparison.TestCase


@pytest.fixture(autouse=True, scope="module")
def compact_often() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting_module, "_STALE_ENTRIES", 2)
        yield


def test_what_another_view_took_is_forgotten() -> None:
    waiting = Waiting()
    everything, slow = waiting.open(None), waiting.open(Selector("n = 1"))
    for sequence in range(10_000):
        waiting.add(Message(sequence, {"n": "1"}, b""))
        assert waiting.take(everything)
    assert len(waiting) == 0
    assert len(slow.order) < 10
