# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a supervisord runs, how it is stopped, and what it leaves behind.

supervisord tells each program its own address in the environment, and by that they are known again.
When it is killed its programs go on, hold their ports, and would run twice beside those of a new
daemon.
"""

from __future__ import annotations

import os
import signal
import stat
import time

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import (
    POLL_SECONDS,
    alive,
    all_pids,
    end,
    environ_of,
    same_host,
)
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
    """Why the daemon does not run (or does not stop), and what to do."""


def identity(client):
    """(identifier, pid) of the daemon that answers, or None if none runs.

    :raises SupervisorError: something is in the way of knowing, permissions for example.
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


def is_no_socket(path):
    """Whether something else lies in the place of a unix socket; supervisord replaces it at its
    start."""
    try:
        return not stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, TypeError):
        return False


def lost_daemons(client, config, folder):
    """Pids of the daemons of a configuration that are not the one that answers at its socket.

    A daemon that has just been started is waited for until it makes its socket, or is too old to do
    so.

    :param folder: the directory of its log, see :func:`daemon.daemons_of`.
    :raises SupervisorError: as :func:`identity`.
    """
    while True:
        found = identity(client)
        lost = unreachable_daemons(config, folder, found and found[1])
        if found or lost or not daemons_of(config, folder):
            return lost
        time.sleep(POLL_SECONDS)


def stop_lost(pids, timeout):
    """Stop daemons that are not reached at their socket, and wait until they are gone with their
    programs.

    With its end each of them removes the socket and the pid file, whoever made them: no other one
    may run meanwhile.

    :raises DaemonError: one is still there when the time is up.
    """
    left = end(lambda: [pid for pid in pids if alive(pid)], timeout)
    if left:
        raise DaemonError(
            "supervisord (pid %d) was told to stop with SIGTERM and still runs after %d s: a "
            "program does not end. "
            "See which: ps --forest -g %d" % (left[0], timeout, left[0])
        )


def newer_secrets(folder, socket):
    """Names of the secrets that were written after a daemon had begun to listen; programs read them
    when they start.

    They are compared with the time of its socket, which the same clock stamped: whether that was
    set since does not matter.
    """
    try:
        began = os.stat(socket).st_mtime_ns
        return sorted(
            entry.name for entry in os.scandir(folder) if entry.stat().st_mtime_ns > began
        )
    except OSError:
        return []


def secrets_in(folder):
    try:
        return [entry.path for entry in os.scandir(folder)]
    except OSError:
        return []


def programs_of(socket):
    """Pids of all processes that the supervisord at this unix socket started. Another user's
    processes are not looked into."""
    # those of a container are named alike
    return [
        pid
        for pid in all_pids()
        if (environ_of(pid) or {}).get("SUPERVISOR_SERVER_URL") == "unix://" + socket
        and same_host(pid)
    ]


def end_programs_of(socket):
    """End what a supervisord that is gone left behind: SIGTERM, and SIGKILL for what does not
    listen.

    :returns: how many there were.
    """
    found = programs_of(socket)
    if found and end(lambda: programs_of(socket), TERM_SECONDS):
        end(lambda: programs_of(socket), KILL_SECONDS, signal.SIGKILL)
    return len(found)


def stop(client, pid, timeout):
    """Let the daemon stop its programs and itself, and wait until the process is gone.

    :raises DaemonError: it is still there when the time is up.
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
                "supervisord (pid %d) was told to stop and still runs after %d s: a program does "
                "not end. "
                "See which: swf-testbed status" % (pid, timeout)
            )
        time.sleep(0.05)
