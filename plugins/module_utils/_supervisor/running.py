# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a supervisord runs, how it is stopped, and the programs that outlive it.

supervisord passes its address to each program in the environment, which identifies its programs.
After it is killed its programs still run and hold their ports: with a new daemon they would run
twice.
"""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Sequence

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import (
    POLL_SECONDS,
    alive,
    all_pids,
    end,
    environ_of,
    same_host,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import (
    daemons_of,
    unreachable_daemons,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    RpcFault,
    SupervisorError,
)

TERM_SECONDS = 10.0
KILL_SECONDS = 2.0


class DaemonError(Exception):
    """The daemon does not start or stop; the text says why, and the fix."""


def identity(client: Client) -> tuple[str, int] | None:
    """(identifier, pid) of the daemon that answers, or None if none runs.

    :raises SupervisorError: it cannot be asked, for example for lack of permissions.
    """
    try:
        identifier, pid = client.multicall(
            [("supervisor.getIdentification",), ("supervisor.getPID",)]
        )
    except SupervisorError as error:
        if error.means_not_running or is_no_socket(client.endpoint.path):
            return None
        raise
    return identifier, pid


def is_no_socket(path: str) -> bool:
    """Whether the path of a unix socket is another kind of file; supervisord replaces it at its
    start."""
    try:
        return not stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, TypeError):
        return False


def lost_daemons(client: Client, config: str, folder: str) -> list[int]:
    """Pids of the daemons of a configuration except the one that answers at its socket.

    Waits for a daemon that has just started, until it creates its socket or is too old to do so.

    :param folder: the directory of its log, see :func:`daemon.daemons_of`.
    :raises SupervisorError: as :func:`identity`.
    """
    while True:
        found = identity(client)
        lost = unreachable_daemons(config, folder, found and found[1])
        if found or lost or not daemons_of(config, folder):
            return lost
        time.sleep(POLL_SECONDS)


def stop_lost(pids: Sequence[int], timeout: float) -> None:
    """Stop daemons that their socket does not reach, and wait for the end of them and their
    programs.

    At its end each removes the socket and the pid file, even those of another daemon: none may
    start before.

    :raises DaemonError: one still runs after the timeout.
    """
    left = end(lambda: [pid for pid in pids if alive(pid)], timeout)
    if left:
        raise DaemonError(
            "supervisord (pid %d) still runs %d s after SIGTERM: a program does not end. Find it "
            "with: ps --forest -g %d" % (left[0], timeout, left[0])
        )


def newer_secrets(folder: str, socket: str) -> list[str]:
    """Names of the secrets that were written after a daemon began to listen; programs read them at
    their start.

    The reference is the time of its socket, which has the same clock, even if that was set since.
    """
    try:
        began = os.stat(socket).st_mtime_ns
        return sorted(
            entry.name for entry in os.scandir(folder) if entry.stat().st_mtime_ns > began
        )
    except OSError:
        return []


def secrets_in(folder: str) -> list[str]:
    try:
        return [entry.path for entry in os.scandir(folder)]
    except OSError:
        return []


def programs_of(socket: str) -> list[int]:
    """Pids of all processes that the supervisord at this unix socket started, except those of other
    users."""
    # the same path may exist in a container
    return [
        pid
        for pid in all_pids()
        if (environ_of(pid) or {}).get("SUPERVISOR_SERVER_URL") == "unix://" + socket
        and same_host(pid)
    ]


def end_programs_of(socket: str) -> int:
    """End the programs that outlived their supervisord: SIGTERM, then SIGKILL.

    :returns: the number of programs.
    """
    found = programs_of(socket)
    if found and end(lambda: programs_of(socket), TERM_SECONDS):
        end(lambda: programs_of(socket), KILL_SECONDS, signal.SIGKILL)
    return len(found)


def stop(client: Client, pid: int, timeout: float) -> None:
    """Let the daemon stop its programs and itself, and wait for the end of the process.

    :raises DaemonError: it still runs after the timeout.
    """
    try:
        client.call("supervisor.shutdown")
    except RpcFault as fault:
        raise DaemonError("supervisord (pid %d) refuses to stop: %s" % (pid, fault.text)) from fault
    except SupervisorError as error:
        # it may be stopping already, or end before it has answered
        if error.cause not in ("shutting_down", "died"):
            raise
    deadline = time.monotonic() + timeout
    while alive(pid):
        if time.monotonic() > deadline:
            raise DaemonError(
                "supervisord (pid %d) still runs %d s after its shutdown was requested: a program "
                "does not end. Find it with: swf-testbed status" % (pid, timeout)
            )
        time.sleep(0.05)
