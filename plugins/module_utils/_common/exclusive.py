# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""An exclusive lock on a file that only its owner can open: anyone who can open a file, even for
reading, can lock it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import user_name

POLL_SECONDS = 0.2


class LockHeld(Exception):
    """Another process holds the lock and did not release it in time; the text names the process."""


@contextlib.contextmanager
def exclusive(path: str, patience: float) -> t.Iterator[None]:
    """Hold the lock of a file; create the file if it is missing. Only its owner may write to its
    directory.

    :param patience: seconds to wait for another process.
    :raises LockHeld: the process still holds it.
    """
    deadline = time.monotonic() + patience
    handle = _acquired(path)
    while handle is None:
        if time.monotonic() > deadline:
            raise LockHeld(
                "%s has held the lock %s for more than %d s. Fix: wait until it finishes; if it "
                "hangs, kill it and run again" % (holder(path), path, patience)
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
                # created by an earlier version. Anyone may have opened it and hold it forever, so
                # do not wait for it
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
            "the lock %s belongs to another user, %s. Fix: wait until the run of that user "
            "finishes; if there is none, remove the file" % (path, user_name(os.lstat(path).st_uid))
        ) from error


def _replace(path: str) -> None:
    new, scratch = tempfile.mkstemp(prefix=".lock-", dir=os.path.dirname(path) or ".")
    os.close(new)
    os.replace(scratch, path)


def _is(path: str, status: os.stat_result) -> bool:
    """Whether the path still names this file: it may have been removed or replaced before the
    lock."""
    try:
        return os.path.samestat(os.stat(path), status)
    except FileNotFoundError:
        return False


def holder(path: str) -> str:
    """The process that holds the lock of a file, as ``process 4711 (user me, python3)``."""
    try:
        wanted = os.stat(path)
    except OSError:
        return "another process"
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for number in os.listdir("/proc/%s/fd" % pid):
                if os.path.samestat(
                    os.stat("/proc/%s/fd/%s" % (pid, number)), wanted
                ) and _has_lock(pid, number):
                    return "process %s (user %s, %s)" % (
                        pid,
                        user_name(os.stat("/proc/" + pid).st_uid),
                        _command(pid),
                    )
    return "a process that this user may not see"


def _has_lock(pid: str, number: str) -> bool:
    with open("/proc/%s/fdinfo/%s" % (pid, number), encoding="ascii") as stream:
        return any(line.startswith("lock:") for line in stream)


def _command(pid: str) -> str:
    """The program without its arguments, which may hold a secret."""
    with open("/proc/%s/cmdline" % pid, encoding="utf-8", errors="replace") as stream:
        return os.path.basename(stream.read().partition("\0")[0]) or "unknown"
