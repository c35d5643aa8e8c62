# SPDX-License-Identifier: GPL-3.0-or-later
"""Delays between attempts, and one log line per outage instead of one per attempt."""

from __future__ import annotations

import logging
import random
import time


class Backoff:
    """Delays that double from `first` up to `longest` seconds, each randomly shortened by up to a
    half.

    The jitter prevents agents that lost the same server from reconnecting at the same moment.
    """

    def __init__(self, first: float = 0.2, longest: float = 10.0) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def delay(self) -> float:
        """Seconds to wait before the next attempt."""
        current = self._next
        self._next = min(current * 2, self._longest)
        return current * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)

    def reset(self) -> None:
        """Use the first delay again."""
        self._next = self._first


class Outage:
    """Logs one warning per cause while a service is unavailable, and one line when it is available
    again.

    :param what: the name of the service, e.g. "broker 127.0.0.1:61613"
    """

    def __init__(self, logger: logging.Logger, what: str) -> None:
        self._logger = logger
        self._what = what
        self._since = 0.0
        self.cause = ""

    def failed(self, cause: str) -> None:
        """Record that an attempt failed for this cause."""
        if not self.cause:
            self._since = time.monotonic()
        if cause != self.cause:
            self.cause = cause
            self._logger.warning("%s: %s; trying again until it answers", self._what, cause)

    def over(self) -> None:
        """Record that an attempt succeeded."""
        if self.cause:
            self.cause = ""
            seconds = round(time.monotonic() - self._since, 1)
            self._logger.info("%s answers again", self._what, extra={"after_s": seconds})
