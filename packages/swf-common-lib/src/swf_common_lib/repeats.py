# SPDX-License-Identifier: GPL-3.0-or-later
"""When to try something again that was announced before and not taken up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")


class Repeats(Generic[K]):
    """Gives each key at once, and then again after pauses that double, a limited number of times.

    So a long backlog is not made longer by its own repeats, and what never succeeds is not tried
    for ever.

    :param pause: the first pause, in seconds
    :param times: how often a key is given in all
    :param clock: gives seconds
    """

    def __init__(
        self, pause: float = 60.0, times: int = 6, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = pause
        self._times = times
        self._clock = clock
        self._given: dict[K, tuple[int, float]] = {}

    def due(self, keys: Iterable[K]) -> list[K]:
        """Those of the keys that are due now. Keys that are not among them are forgotten."""
        now, due = self._clock(), []
        remembered: dict[K, tuple[int, float]] = {}
        for key in keys:
            count, at = self._given.get(key, (0, now))
            if count < self._times and at <= now:
                due.append(key)
                count, at = count + 1, now + self._pause * 2**count
            remembered[key] = (count, at)
        self._given = remembered
        return due
