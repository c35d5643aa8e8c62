# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of the messages that nobody reads, so that they do not fill the broker."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass

log = logging.getLogger(__name__)

# A consumer that left less than this ago may return: the limits do not apply to its messages yet.
GRACE_SECONDS = 60.0
REPORT_SECONDS = 60.0
REPORTED_ADDRESSES = 10


@dataclass(frozen=True)
class UnreadLimits:
    """The limits of one address. `size` is in bytes; without `seconds`, there is no limit of
    age."""

    messages: int
    size: int
    seconds: int | None = None


class DropReport:
    """Counts dropped messages, and logs them at most once in REPORT_SECONDS."""

    def __init__(self) -> None:
        self.total = 0
        self._unreported: Counter[str] = Counter()
        self._reported_at = -REPORT_SECONDS

    def count(self, address: str) -> None:
        self.total += 1
        self._unreported[address] += 1

    def write(self, *, now: bool = False) -> None:
        """Log the messages that were dropped since the last line, if it is time, or `now`."""
        moment = time.monotonic()
        if self._unreported and (now or moment - self._reported_at >= REPORT_SECONDS):
            log.warning(
                "dropped the oldest messages of addresses that nobody reads",
                extra={
                    "dropped": dict(self._unreported.most_common(REPORTED_ADDRESSES)),
                    "addresses": len(self._unreported),
                    "since_start": self.total,
                },
            )
            self._unreported.clear()
            self._reported_at = moment
