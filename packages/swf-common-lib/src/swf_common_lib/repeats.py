# SPDX-License-Identifier: GPL-3.0-or-later
"""The times at which an announcement without effect is repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")


class Repeats(Generic[K]):
    """Returns each key at once, and then again after pauses that double, a limited number of times.

    So repetitions do not extend a long backlog, and a permanent failure is not repeated for ever.

    :param pause: the first pause, in seconds
    :param times: the maximum number of times a key is returned
    :param clock: returns seconds
    """

    def __init__(
        self, pause: float = 60.0, times: int = 6, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = pause
        self._times = times
        self._clock = clock
        self._given: dict[K, tuple[int, float]] = {}

    def due(self, keys: Iterable[K]) -> list[K]:
        """The keys that are due now. Other keys than `keys` are forgotten."""
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
