# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that survived their daemon.

When supervisord is killed, its programs continue, occupy their ports and would run in addition to
the programs of a new daemon. They are identified by the address of their daemon, which supervisord
puts into their environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

POLL_SECONDS = 0.1
GRACE_SECONDS = 10.0


def end_orphans(server_url: str) -> int:
    """End the programs of a former daemon at `server_url` (unix://path); return their number.

    Call it only if no daemon serves that address. It finds only processes of this user, and none
    without /proc.
    """
    found = _programs_of(server_url)
    for number, grace in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, 1.0)):
        left = _programs_of(server_url)
        for pid in left:
            _signal(pid, number)
        deadline = time.monotonic() + grace
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            left = _programs_of(server_url)
    return len(found)


def _programs_of(server_url: str) -> list[int]:
    mark = os.fsencode(f"SUPERVISOR_SERVER_URL={server_url}")
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            # a zombie has an empty environment
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # another user's, or ended
            continue
    return [pid for pid in found if pid != os.getpid()]


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)
