# SPDX-License-Identifier: GPL-3.0-or-later
"""The request to stop, seen by all threads of a program, and the signals that make it."""

from __future__ import annotations

import logging
import signal
import threading
import time

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


class Stopping(Exception):
    """The program was asked to stop while it waited for something; leave the item as it is."""


class Shutdown:
    """A request to stop, with a time of grace in which the current item may be finished.

    :param grace: seconds; less than the 5 s in which a program has to exit
    """

    def __init__(self, grace: float = 3.0) -> None:
        self._event = threading.Event()
        self._grace = grace
        self._deadline = float("inf")

    @property
    def requested(self) -> bool:
        """Whether the program was asked to stop."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask the program to stop. The grace runs from the first request."""
        if not self._event.is_set():
            self._deadline = time.monotonic() + self._grace
            self._event.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the request at most `timeout` seconds; True if it was made."""
        return self._event.wait(timeout)

    def pause(self, seconds: float) -> None:
        """Sleep, and no longer than until the request.

        :raises Stopping: the request was made
        """
        if self.wait(seconds):
            raise Stopping

    def grace_left(self) -> float:
        """Seconds in which the current item may still be finished; infinite before the request."""
        return max(0.0, self._deadline - time.monotonic())

    def on_signals(self) -> None:
        """Make SIGTERM, SIGQUIT and SIGINT a request to stop.

        To be called in the main thread, before other threads start. A thread waits for the signals,
        because a handler could interrupt the main thread while it holds the very lock that
        `request` needs.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        threading.Thread(target=self._wait_for_signal, name="signals", daemon=True).start()

    def _wait_for_signal(self) -> None:
        number = signal.sigwait(STOP_SIGNALS)
        logger.info("stopping", extra={"signal": signal.Signals(number).name})
        self.request()
