# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that were moved away or deleted while supervisord has them open: it writes on where nobody
looks."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

# Within this time (s) a log that supervisord itself rotates is in its place again.
ROTATION_SECONDS = 0.2
_DELETED = " (deleted)"


@dataclass(frozen=True)
class LostLog:
    """A log that is not where its `path` says. `readable`: what is written instead, if it is
    known."""

    path: Path
    place: str
    readable: Path | None

    @property
    def cause(self) -> str:
        """What happened, for a message."""
        now = "; it is written to a file that is not known"
        if self.readable:
            deleted = self.place.endswith(_DELETED)
            now = ", and its space is not free" if deleted else f"; it is written to {self.place}"
            return f"the log {self.path} was {'deleted' if deleted else 'moved away'} while it is open{now}"
        return f"the log {self.path} was moved away or deleted while it is open{now}"


def lost_log(daemon: int, path: str) -> LostLog | None:
    """The log of a program that runs, if its daemon has it open elsewhere; None if not, or not to
    be seen."""
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
        except OSError:  # not to be seen by this user
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
    """The regular files that a process has open: where each is read, its path, what tells it from
    others."""
    found = {}
    try:
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # another user's, gone, or no /proc
        return {}
    for entry in entries:
        # Connections come and go meanwhile.
        with contextlib.suppress(OSError):
            status = entry.stat()
            if stat.S_ISREG(status.st_mode):
                found[entry] = (str(entry.readlink()), (status.st_dev, status.st_ino))
    return found
