# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that outlived their daemon.

When supervisord is killed, what it started goes on, holds its ports and would run a second time
beside a new daemon's programs. supervisord tells each program its own address, by which they are
known again.
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
    """Ends the programs that a daemon at `server_url` (unix://path) started; returns how many there
    were.

    Called only when no daemon serves that address. Sees processes of this user alone, and none
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
            # A process that ended and was not collected has an empty environment.
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # another user's, or gone
            continue
    return [pid for pid in found if pid != os.getpid()]


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)
