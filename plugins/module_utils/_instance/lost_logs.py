# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that were moved away or deleted while supervisord has them open: it goes on writing where
nobody looks."""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
import time

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    finding,
)

# within this time a log that supervisord itself rotates is in its place again
ROTATION_SECONDS = 0.2
DELETED = " (deleted)"


def lost_logs(daemon, paths):
    """{path: where it is written instead, or None where that is not known} of the logs that are not
    in their place.

    :param daemon: pid of a supervisord; where its files cannot be seen, nothing is lost.
    :param paths: of logs that it has open.
    """
    found = missing(daemon, paths)
    if found:
        time.sleep(ROTATION_SECONDS)
        found = missing(daemon, found)
    return found


def missing(daemon, paths):
    files = open_files(daemon)
    return {
        path: written_to(path, files.values())
        for path in paths
        if files and path and not path.startswith("/dev/") and identity_of(path) not in files
    }


def open_files(pid):
    """{what tells a regular file from others: its path} of those that a process has open."""
    folder, found = "/proc/%d/fd" % pid, {}
    try:
        names = os.listdir(folder)
    except OSError:
        # another user's, or gone
        return {}
    for name in names:
        # connections come and go meanwhile
        with contextlib.suppress(OSError):
            status = os.stat(os.path.join(folder, name))
            if stat.S_ISREG(status.st_mode):
                found[status.st_dev, status.st_ino] = os.readlink(os.path.join(folder, name))
    return found


def identity_of(path):
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def written_to(path, places):
    """Where a log is written that is not in its place; None if that cannot be told from the
    names."""
    if path + DELETED in places:
        return path + DELETED
    return next(
        (place for place in places if os.path.basename(place).startswith(os.path.basename(path))),
        None,
    )


def findings(daemon, main_log, processes):
    """Findings for the logs of a supervisord and of its programs that run.

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
    fix = "Run: %skill -USR2 %d, which makes supervisord open its logs anew" % (
        "" if user == pwd.getpwuid(os.getuid()).pw_name else "sudo -u %s " % user,
        daemon,
    )
    cause = "the log %s was moved away or deleted while it is written"
    return [
        finding("log", cause % path, evidence(place, daemon), fix, WARNING)
        for path, place in sorted(lost.items())
    ]


def evidence(place, daemon):
    if place is None:
        return "process %d does not have that file open" % daemon
    if place.endswith(DELETED):
        return "process %d writes into the deleted file, whose space is not free" % daemon
    return "process %d writes to %s" % (daemon, place)
