# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that were moved or deleted while supervisord has them open: it continues to write to the
open file."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

# Within this time (s), a log that supervisord itself rotates exists again.
ROTATION_SECONDS = 0.2
_DELETED = " (deleted)"


@dataclass(frozen=True)
class LostLog:
    """A log that is not at its `path`. `readable`: the open file, if it was found."""

    path: Path
    place: str
    readable: Path | None

    @property
    def cause(self) -> str:
        """The cause, for a message."""
        if not self.readable:
            what, now = "moved or deleted", "; the open file was not found"
        elif self.place.endswith(_DELETED):
            what, now = "deleted", ", and its disk space is not released"
        else:
            what, now = "moved", f"; the daemon writes to {self.place}"
        return f"the log {self.path} was {what} while it is open{now}"


def lost_log(daemon: int, path: str) -> LostLog | None:
    """The log of a running program, if its daemon has another file open; None if not, or if that
    cannot be determined."""
    if not path or path.startswith("/dev/"):
        return None
    for wait in (ROTATION_SECONDS, 0.0):
        files = _open_files(daemon)
        try:
            found = os.stat(path)
            if not files or any(
                (found.st_dev, found.st_ino) == identity for _, identity in files.values()
            ):
                return None
        except FileNotFoundError:
            if not files:
                return None
        except OSError:  # not accessible for this user
            return None
        time.sleep(wait)
    name = os.path.basename(path)
    wanted = [path + _DELETED]
    wanted += [place for place, _ in files.values() if os.path.basename(place).startswith(name)]
    for candidate in wanted:
        for readable, (place, _) in files.items():
            if place == candidate:
                return LostLog(Path(path), place, readable)
    return LostLog(Path(path), "", None)


def _open_files(pid: int) -> dict[Path, tuple[str, tuple[int, int]]]:
    """The open regular files of a process: by the path to read each, its own path and its
    identity."""
    found = {}
    try:
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # another user's, ended, or no /proc
        return {}
    for entry in entries:
        # descriptors may be closed meanwhile
        with contextlib.suppress(OSError):
            status = entry.stat()
            if stat.S_ISREG(status.st_mode):
                found[entry] = (str(entry.readlink()), (status.st_dev, status.st_ino))
    return found
