# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the end of a program's log, and follow it.

If this user may read the file, it is read directly, which works without a daemon, too. Otherwise
the daemon reads it.
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
        """The text since the last call, which may be empty."""


class FileLog:
    """A log file, which supervisor may rotate away at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")

    def tail(self, lines: int) -> str:
        position = self._file.seek(0, os.SEEK_END)
        data = b""
        # one line end more than lines: the text before it belongs to an older line
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
    """A log that the daemon reads."""

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
                # Distinguishes a missing file from an empty one: the daemon refuses to read it.
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
    """The log of `program`, or None if there is none (yet)."""
    if path and (supervisor is None or supervisor.is_local):
        try:
            return FileLog(Path(path))
        except OSError:
            pass
    return RemoteLog(supervisor, program, stderr=stderr) if supervisor else None


def _last_lines(text: str, lines: int) -> str:
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""
