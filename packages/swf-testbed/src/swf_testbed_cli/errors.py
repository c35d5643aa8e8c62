# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of the command, and the exit statuses of `status`."""

from __future__ import annotations

# The same as those of supervisorctl.
ALL_RUNNING, SOME_NOT_RUNNING, NO_DAEMON = 0, 3, 4


class TestbedError(Exception):
    """An error: its `cause` and the `next_command`, in one line each, and `details` such as the end
    of a log."""

    __test__ = False  # the name begins like that of a pytest class

    def __init__(self, cause: str, next_command: str, details: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.next_command = next_command
        self.details = details


class NotRunning(TestbedError):
    """No daemon serves the instance's socket. `stale`: the socket of a dead daemon exists."""

    def __init__(self, cause: str, next_command: str, *, stale: bool = False) -> None:
        super().__init__(cause, next_command)
        self.stale = stale
