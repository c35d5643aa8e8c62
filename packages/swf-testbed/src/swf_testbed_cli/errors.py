# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command says when it cannot do what it was asked."""

from __future__ import annotations

# The exit statuses of `status`, as those of supervisorctl.
ALL_RUNNING, SOME_NOT_RUNNING, NO_DAEMON = 0, 3, 4


class TestbedError(Exception):
    """A `cause` in one line, and in one line what to type `next`; `details` (log tails) come
    between them."""

    __test__ = False  # the name begins as that of a pytest class

    def __init__(self, cause: str, next_command: str, details: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.next_command = next_command
        self.details = details


class NotRunning(TestbedError):
    """Nothing serves the instance's socket. `stale`: a dead daemon left the socket behind."""

    def __init__(self, cause: str, next_command: str, *, stale: bool = False) -> None:
        super().__init__(cause, next_command)
        self.stale = stale
