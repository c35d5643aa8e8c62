# SPDX-License-Identifier: GPL-3.0-or-later
"""The request to stop, which all threads of a program see, and the signals that make it."""

from __future__ import annotations

import logging
import signal
import threading
import time

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


class Stopping(Exception):
    """The program is to stop while it waits for something; leave the item as it is."""


class Shutdown:
    """A request to stop, with a grace period in which the current item may finish.

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
        """Ask the program to stop. The grace period starts with the first request."""
        if not self._event.is_set():
            self._deadline = time.monotonic() + self._grace
            self._event.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the request at most `timeout` seconds; return whether it was made."""
        return self._event.wait(timeout)

    def pause(self, seconds: float) -> None:
        """Sleep, at most until the request.

        :raises Stopping: the request was made
        """
        if self.wait(seconds):
            raise Stopping

    def grace_left(self) -> float:
        """Seconds that are left for the current item; infinite before the request."""
        return max(0.0, self._deadline - time.monotonic())

    def on_signals(self) -> None:
        """Turn SIGTERM, SIGQUIT and SIGINT into a request to stop.

        Call it in the main thread, before other threads start. A thread waits for the signals,
        because a signal handler could interrupt the main thread while that holds the lock that
        `request` needs.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        threading.Thread(target=self._wait_for_signal, name="signals", daemon=True).start()

    def _wait_for_signal(self) -> None:
        number = signal.sigwait(STOP_SIGNALS)
        logger.info("stopping", extra={"signal": signal.Signals(number).name})
        self.request()
