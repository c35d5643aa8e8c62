# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits the locks and the wheels from git on the controller to the ones that were used last."""

from __future__ import annotations

import contextlib
import os
import re
import shutil

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.lock_file import (
    HEADING,
    read,
)

WHEELS = re.compile("git-[0-9a-f]{12}")


def keep_locks(used: str, folder: str, limit: int) -> None:
    """Note that a lock was used, and remove all but the last ones that the collection wrote to the
    directory of locks.

    A lock in another directory belongs to the user, as do all other files there.
    """
    folder = os.path.abspath(os.path.expanduser(folder))
    if os.path.dirname(os.path.abspath(used)) == folder:
        names = [name for name in os.listdir(folder) if name.endswith(".txt")]
        keep_last(
            used,
            [path for path in (os.path.join(folder, name) for name in names) if is_ours(path)],
            limit,
        )


def is_ours(path: str) -> bool:
    return (read(path) or "").startswith(HEADING)


def keep_wheels(used: str, limit: int) -> None:
    """The same for a directory of wheels, and its neighbours with a name of this form."""
    folder = os.path.dirname(os.path.abspath(used))
    keep_last(
        used,
        [os.path.join(folder, name) for name in os.listdir(folder) if WHEELS.fullmatch(name)],
        limit,
    )


def keep_last(used: str, paths: list[str], limit: int) -> None:
    os.utime(used)
    # another host of the play may do the same at the same time
    times: dict[str, int] = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            times[path] = os.stat(path).st_mtime_ns
    for path in sorted(times, key=times.__getitem__, reverse=True)[limit:]:
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
