# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures between a module and supervisord, each with a code for its cause, and a fix."""

from __future__ import annotations


class SupervisorError(Exception):
    """A failure with a cause that a program can test for.

    :param cause: one word from the list in the modules' RETURN documentation.
    :param message: the cause, the evidence and the fix.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message

    @property
    def means_not_running(self) -> bool:
        """True if nobody answers at the address: supervisord may not have started yet."""
        return self.cause in ("config_missing", "socket_missing", "socket_stale", "refused")


class RpcFault(Exception):
    """A call that supervisord refused: the number of the fault and supervisord's own text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


# The members of supervisor.xmlrpc.Faults that need different reactions.
UNKNOWN_METHOD = 1
SHUTDOWN_STATE = 6
BAD_NAME = 10
ALREADY_STARTED = 60
NOT_RUNNING = 70
ALREADY_ADDED = 90
STILL_RUNNING = 91
CANT_REREAD = 92
