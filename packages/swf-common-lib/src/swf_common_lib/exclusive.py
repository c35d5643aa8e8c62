# SPDX-License-Identifier: GPL-3.0-or-later
"""An exclusive lock in a file that only its owner can open.

Any process that can open a file, even for reading, can hold its lock. The collection's modules have
a copy of this code (plugins/module_utils/_common/exclusive.py): Ansible sends them to hosts without
this package, and this package is installed without the collection.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import tempfile
import time
from collections.abc import Iterator

POLL_SECONDS = 0.2


class LockHeld(Exception):
    """Another process holds the lock and did not release it in time; the text names the process."""


@contextlib.contextmanager
def exclusive(path: str, patience: float) -> Iterator[None]:
    """Hold the lock of a file, which is created if it is missing.

    Args:
        path: The file, in a directory that only its owner may write.
        patience: Seconds to wait for another process.

    Raises:
        LockHeld: the other process still holds it.
    """
    deadline = time.monotonic() + patience
    handle = _acquired(path)
    while handle is None:
        if time.monotonic() > deadline:
            raise LockHeld(
                f"{holder(path)} has held the lock {path} for {patience:g} s or longer. Wait for "
                "it; if it hangs, end it (kill), and run again"
            )
        time.sleep(POLL_SECONDS)
        handle = _acquired(path)
    try:
        yield
    finally:
        os.close(handle)


def _acquired(path: str) -> int | None:
    """A handle that holds the lock, or None if another process does."""
    while True:
        handle = _opened(path)
        try:
            status = os.fstat(handle)
            if status.st_mode & 0o077:
                # Any user may have opened it and hold it for ever, so it is replaced.
                _replace(path)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is(path, status):
                    handle, acquired = -1, handle
                    return acquired
        except BlockingIOError:
            return None
        finally:
            if handle != -1:
                os.close(handle)


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except PermissionError as error:
        if not os.path.lexists(path):
            raise
        raise LockHeld(
            f"the lock {path} belongs to another user, {_user(os.lstat(path).st_uid)}. "
            "Wait for the run of that user; if there is none, remove the file"
        ) from error


def _replace(path: str) -> None:
    new, scratch = tempfile.mkstemp(prefix=".lock-", dir=os.path.dirname(path) or ".")
    os.close(new)
    os.replace(scratch, path)


def _is(path: str, status: os.stat_result) -> bool:
    """Whether the file is still that of its path: it may have been removed before it was locked."""
    try:
        return os.path.samestat(os.stat(path), status)
    except FileNotFoundError:
        return False


def holder(path: str) -> str:
    """The process that holds the lock of a file, as "process 4711 (user me, python3)"."""
    try:
        wanted = os.stat(path)
    except OSError:
        return "another process"
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{number}"), wanted) and _has_lock(
                    pid, number
                ):
                    user = _user(os.stat(f"/proc/{pid}").st_uid)
                    return f"process {pid} (user {user}, {_command(pid)})"
    return "a process that this user cannot see"


def _has_lock(pid: str, number: str) -> bool:
    with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as stream:
        return any(line.startswith("lock:") for line in stream)


def _command(pid: str) -> str:
    """The program without its arguments, which may contain a secret."""
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as stream:
        return os.path.basename(stream.read().partition("\0")[0]) or "unknown"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
