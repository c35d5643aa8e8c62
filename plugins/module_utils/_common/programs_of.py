# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that a supervisord started, also those that outlived it.

supervisord tells each program its own address in the environment, and by that they are known again. When it is killed its
programs go on, hold their ports, and would run twice beside those of a new daemon.
"""

from __future__ import annotations

import os
import signal
import time

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.daemon_processes import same_host

POLL_SECONDS = 0.1
TERM_SECONDS = 10.0
KILL_SECONDS = 2.0


def belongs(pid, socket):
    """True if the supervisord at this unix socket started the process. Another user's process is not looked into."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as stream:
            # those of a container are named alike
            return same_host(pid) and os.fsencode("SUPERVISOR_SERVER_URL=unix://" + socket) in stream.read().split(b"\0")
    except OSError:
        return False


def programs_of(socket):
    """Pids of all processes that the supervisord at this socket started."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and belongs(int(name), socket)]


def end_programs_of(socket):
    """End what a supervisord that is gone left behind: SIGTERM, and SIGKILL for what does not listen.

    :returns: how many there were.
    """
    found = programs_of(socket)
    left = found
    for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        for pid in left:
            try:
                os.kill(pid, number)
            except OSError:
                continue
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            left = programs_of(socket)
    return len(found)
