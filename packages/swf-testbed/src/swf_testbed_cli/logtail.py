# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a program's log, and what comes after it.

The file itself where this user may read it, which works after the daemon's death, too. Otherwise
the daemon reads it for us.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from swf_testbed_cli.rpc import Supervisor

_BLOCK = 64 * 1024


class Log(Protocol):
    """A log that can be read from its end."""

    def tail(self, lines: int) -> str:
        """The last `lines` lines."""

    def more(self) -> str:
        """What was written since the last call, perhaps nothing."""


class FileLog:
    """A log file, which supervisor may rotate away at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")

    def tail(self, lines: int) -> str:
        position = self._file.seek(0, os.SEEK_END)
        data = b""
        # One line end more than lines: what is before it is the end of an older line.
        while position > 0 and data.count(b"\n") <= lines:
            size = min(_BLOCK, position)
            position -= size
            self._file.seek(position)
            data = self._file.read(size) + data
        self._file.seek(0, os.SEEK_END)
        return _last_lines(data.decode(errors="replace"), lines)

    def more(self) -> str:
        text = self._file.read().decode(errors="replace")
        if not text and self._was_rotated():
            self._file.close()
            self._file = self._path.open("rb")
            text = self._file.read().decode(errors="replace")
        return text

    def _was_rotated(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (
            mine.st_dev,
            mine.st_ino,
        ) or there.st_size < self._file.tell()


class RemoteLog:
    """A log that the daemon reads for us."""

    def __init__(self, supervisor: Supervisor, program: str, *, stderr: bool) -> None:
        self._supervisor = supervisor
        self._program = program
        channel = "Stderr" if stderr else "Stdout"
        self._method = f"supervisor.tailProcess{channel}Log"
        self._read = f"supervisor.readProcess{channel}Log"
        self._offset = 0

    def tail(self, lines: int) -> str:
        size = 4096
        while True:
            text, self._offset, _ = self._supervisor.call(self._method, self._program, 0, size)
            if not text:
                # An empty file and one that is not there look the same so far; this one is refused.
                self._supervisor.call(self._read, self._program, 0, 1)
            if text.count("\n") > lines or len(text.encode()) < size - 4:
                return _last_lines(text, lines)
            size *= 4

    def more(self) -> str:
        text, offset, overflow = self._supervisor.call(
            self._method, self._program, self._offset, _BLOCK
        )
        new = offset - self._offset
        self._offset = offset
        if new <= 0:
            return ""
        data = str(text).encode()
        return data.decode() if overflow else data[-new:].decode(errors="replace")


def open_log(path: str, supervisor: Supervisor | None, program: str, *, stderr: bool) -> Log | None:
    """The log of `program`, or None where there is none to read (yet)."""
    if path and (supervisor is None or supervisor.is_local):
        try:
            return FileLog(Path(path))
        except OSError:
            pass
    return RemoteLog(supervisor, program, stderr=stderr) if supervisor else None


def _last_lines(text: str, lines: int) -> str:
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""
