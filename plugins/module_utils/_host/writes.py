# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether directories can be written, tested by writing.

After an error the kernel may make a file system read-only, while statvfs and access still report it
as read-write.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import user_name

FULL = (errno.ENOSPC, errno.EDQUOT)
# directories of an instance, and those below its state that may be separate mounts
PLACES = ("config_dir", "root", "state_dir", "log_dir", "run_dir", "data_dir")
BELOW_STATE = ("monitor", "broker", "postgresql", "redis", "packages", "mirror", "backups")
BYTES = 4096
# errors of file systems without unnamed temporary files
NAMED_INSTEAD = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


def instance_problems(places: Mapping[str, Any]) -> list[Finding]:
    """Findings for the directories of an instance that their owners cannot write, each file system
    once."""
    folders = [places[name] for name in PLACES] + [
        os.path.join(places["state_dir"], name) for name in BELOW_STATE
    ]
    found, seen = [], set()
    for folder in folders:
        if not os.path.isdir(folder):
            continue
        error = write_error(folder, os.stat(folder).st_uid)
        # a full or read-only file system affects all its directories
        key = (error.errno, mount_of(folder)) if error and error.errno != errno.EACCES else folder
        if error and key not in seen:
            seen.add(key)
            found.append(problem(folder, error))
    return found


def write_error(folder: str, user: int | None = None) -> OSError | None:
    """The OSError of a failed write, or None. No file is left behind.

    :param user: id of the user that writes there, whom root impersonates.
    """
    try:
        with as_user(user):
            handle = opened(folder)
            try:
                os.write(handle, b"\0" * BYTES)
            finally:
                os.close(handle)
    except OSError as error:
        return error
    return None


def opened(folder: str) -> int:
    """A new file that disappears when it is closed."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError as error:
        if error.errno not in NAMED_INSTEAD:
            raise
    handle, path = tempfile.mkstemp(dir=folder, prefix=".swf-write-")
    os.unlink(path)
    return handle


@contextlib.contextmanager
def as_user(user: int | None) -> Iterator[None]:
    """Access files as another user; only root can."""
    if user is None or os.geteuid() != 0 or user == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        account = pwd.getpwuid(user)
        name, primary = account.pw_name, account.pw_gid
        members = os.getgrouplist(name, primary)
    except KeyError:
        primary, members = user, []
    os.setgroups(members)
    os.setegid(primary)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def mount_of(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def free_mb(path: str) -> int:
    usage = os.statvfs(path)
    return usage.f_bavail * usage.f_frsize // 1000000


def problem(folder: str, error: OSError, wanted: str | None = None) -> Finding:
    """The finding for a directory that cannot be written.

    :param wanted: the directory that is needed, if it does not exist yet and ``folder`` is above
        it.
    """
    mount, cannot = mount_of(folder), "cannot write %s" % (wanted or folder)
    owner = user_name(os.stat(folder).st_uid)
    if error.errno == errno.EROFS:
        reported = os.statvfs(folder).f_flag & os.ST_RDONLY
        why = (
            "" if reported else ", although %s is mounted read-write, as after a disk error" % mount
        )
        return finding(
            "place",
            cannot,
            "the file system of %s is read-only: writing there fails with %s%s"
            % (folder, error.strerror, why),
            "Find the reason (dmesg), check the file system (fsck), then: sudo mount -o remount,rw "
            "%s" % mount,
        )
    if error.errno == errno.EDQUOT:
        return finding(
            "disk",
            "the quota of %s is used up" % owner,
            "writing in %s fails with %s; %d MB are free at %s"
            % (folder, error.strerror, free_mb(folder), mount),
            "Look at: quota -s %s. Free some space, or ask for a larger quota" % owner,
        )
    if error.errno == errno.ENOSPC:
        return finding(
            "disk",
            "the disk is full",
            "writing in %s fails with %s; %d MB are free at %s"
            % (folder, error.strerror, free_mb(folder), mount),
            "Find the largest directories: sudo du -xh --max-depth=2 %s | sort -h | tail" % mount,
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        more = ", and writing there fails with %s (look at: lsattr -d %s)" % (
            error.strerror,
            folder,
        )
        more = "" if error.errno == errno.EACCES else more
        return finding(
            "place",
            cannot,
            "%s belongs to %s%s" % (folder, owner, more),
            access_fix(wanted or folder, folder),
        )
    return finding(
        "place",
        cannot,
        "writing in %s fails with %s" % (folder, error.strerror),
        "Find the reason (dmesg)",
    )


def access_fix(path: str, above: str) -> str:
    """How to give this login a directory below one that it cannot write, without a new owner of a
    system directory."""
    login, home = pwd.getpwuid(os.getuid()), os.environ.get("HOME") or ""
    if not os.path.isdir(home) or home == "/":
        return "%s has no home directory (%s). Use a login that has one" % (
            login.pw_name,
            home or login.pw_dir,
        )
    if os.path.commonpath([os.path.realpath(above), os.path.realpath(home)]) == os.path.realpath(
        home
    ):
        return "Run as its owner, or: sudo chown %s %s" % (login.pw_name, above)
    return "Run as its owner, or: sudo install -d -o %s %s" % (login.pw_name, path)
