# SPDX-License-Identifier: GPL-3.0-or-later
"""A value that is expensive to make, and that all watchers share."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
# A value that took long to make is used for this many times as long, so that its making takes a
# bounded share of one processor.
REST = 4


class Shared(Generic[T]):
    """A value that is made again by the first thread that finds it too old. The others get the former
    one meanwhile, so they do not all wait for the database.

    Args:
        make: Makes the value. If it raises, so does `get`, and the next caller tries again.
        seconds: The age at which it is made again.
        limit: The age beyond which all callers wait for the next one.
    """

    def __init__(self, make: Callable[[], T], seconds: float, limit: float) -> None:
        self.seconds = seconds
        self._make = make
        self._limit = limit
        self._lock = threading.Lock()
        # The value, and the times at which it is too old to be used, and to be given at all.
        self._made: tuple[T, float, float] | None = None

    def get(self) -> T:
        """The value."""
        made, now = self._made, time.monotonic()
        if made and now < made[1]:
            return made[0]
        if not self._lock.acquire(blocking=not made or now > made[2]):
            assert made  # noqa: S101  or else the call would have waited
            return made[0]
        try:
            made, began = self._made, time.monotonic()
            if not made or began >= made[1]:
                value = self._make()
                rest = max(self.seconds, REST * (time.monotonic() - began)) if self.seconds else 0.0
                made = self._made = (value, began + rest, began + rest + self._limit)
            return made[0]
        finally:
            self._lock.release()
