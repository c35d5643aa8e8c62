# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that were moved or deleted while supervisord has them open: it still writes to the moved or
deleted file."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    finding,
)

# supervisord's own rotation replaces a log within this time
ROTATION_SECONDS = 0.2
DELETED = " (deleted)"

FileId = tuple[int, int]  # device and inode


def lost_logs(daemon: int, paths: Iterable[str]) -> dict[str, str | None]:
    """{path: the file that is written instead, or None if it is unknown} of the logs that are not
    at their path.

    :param daemon: pid of a supervisord; if its files are not visible, the result is empty.
    :param paths: of logs that it has open.
    """
    found = missing(daemon, paths)
    if found:
        time.sleep(ROTATION_SECONDS)
        found = missing(daemon, found)
    return found


def missing(daemon: int, paths: Iterable[str]) -> dict[str, str | None]:
    files = open_files(daemon)
    return {
        path: written_to(path, files.values())
        for path in paths
        if files and path and not path.startswith("/dev/") and identity_of(path) not in files
    }


def open_files(pid: int) -> dict[FileId, str]:
    """{identity of a regular file: its path} of those that a process has open."""
    folder = "/proc/%d/fd" % pid
    found: dict[FileId, str] = {}
    try:
        names = os.listdir(folder)
    except OSError:
        # it belongs to another user, or has ended
        return {}
    for name in names:
        # files are opened and closed at the same time
        with contextlib.suppress(OSError):
            status = os.stat(os.path.join(folder, name))
            if stat.S_ISREG(status.st_mode):
                found[status.st_dev, status.st_ino] = os.readlink(os.path.join(folder, name))
    return found


def identity_of(path: str) -> FileId | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def written_to(path: str, places: Collection[str]) -> str | None:
    """The file that is written in place of a log; None if the names do not show it."""
    if path + DELETED in places:
        return path + DELETED
    return next(
        (place for place in places if os.path.basename(place).startswith(os.path.basename(path))),
        None,
    )


def findings(
    daemon: int, main_log: str, processes: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Findings for the logs of a supervisord and of its running programs.

    :param processes: as the module supervisor_info returns them.
    """
    paths = [
        item[channel + "_logfile"]
        for item in processes
        if item["pid"]
        for channel in ("stdout", "stderr")
    ]
    lost = lost_logs(daemon, [main_log, *paths])
    if not lost:
        return []
    user = pwd.getpwuid(os.stat("/proc/%d" % daemon).st_uid).pw_name
    fix = "Run: %skill -USR2 %d, which makes supervisord reopen its logs" % (
        "" if user == pwd.getpwuid(os.getuid()).pw_name else "sudo -u %s " % user,
        daemon,
    )
    cause = "the log %s was moved or deleted while it is open"
    return [
        finding("log", cause % path, evidence(place, daemon), fix, WARNING)
        for path, place in sorted(lost.items())
    ]


def evidence(place: str | None, daemon: int) -> str:
    if place is None:
        return "process %d does not have that file open" % daemon
    if place.endswith(DELETED):
        return "process %d writes to the deleted file and still uses its disk space" % daemon
    return "process %d writes to %s" % (daemon, place)
