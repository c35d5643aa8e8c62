# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Atomic writes: readers see the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any


@contextlib.contextmanager
def replacing(path: str, mode: int = 0o600) -> Iterator[Any]:
    """A stream whose content replaces the file's at the end, in one rename; an error leaves the
    file unchanged.

    This also survives a power failure. A symbolic link stays one; its target is replaced.
    """
    target = os.path.realpath(path)
    # if this process is killed, programs that read a directory of files skip the hidden name
    handle, scratch = tempfile.mkstemp(prefix=".ansible-", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchmod(handle, mode)
            yield stream
            stream.flush()
            os.fsync(handle)
        os.replace(scratch, target)
    except BaseException:
        os.unlink(scratch)
        raise


def copy_file(source: str, target: str) -> None:
    """Copy a file with mode and owner, atomically."""
    with open(source, "rb") as origin:
        status = os.fstat(origin.fileno())
        with replacing(target, stat.S_IMODE(status.st_mode)) as stream:
            if os.geteuid() == 0:
                os.fchown(stream.fileno(), status.st_uid, status.st_gid)
            shutil.copyfileobj(origin, stream.buffer)


def read(path: str) -> bytes | None:
    """The bytes of a file, or None where there is none."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def settle(paths: Iterable[str], by: str = "mtime") -> None:
    """Reset the times of files that lie in the future because the clock was set back: they have
    been read now.

    Otherwise each run would find them newer than the service that it restarted, until the clock
    catches up.

    :param by: the time to compare, ``mtime`` or ``ctime``. With ``ctime`` the mtime stays, because
        systemd compares it.
    """
    for path in paths:
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            if getattr(found, "st_" + by) > time.time():
                # any change of the inode sets ctime
                mtime = found.st_mtime_ns if by == "ctime" else time.time_ns()
                os.utime(path, ns=(found.st_atime_ns, mtime), follow_symlinks=False)
