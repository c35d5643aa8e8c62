# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of removal never run as root: what goes wrong in one of them must not be able to reach the
machine. Other tests need several logins."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NOBODY = 65534
ROOT = Path(__file__).resolve().parents[2]


def as_nobody():
    """Options of subprocess for a program that has no privileges, if this process could have some."""
    return {"preexec_fn": lambda: _become(NOBODY, NOBODY)} if os.getuid() == 0 else {}


def as_myself():
    """Options of subprocess for a program with the privileges of this process, also while it has the
    rights of another user."""
    return {"preexec_fn": _become_root} if os.getuid() == 0 else {}


def _become(user, group):
    # the effective user may be another one already
    os.seteuid(0)
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


def run_as_nobody(command, check=False, **options):
    """Run a program without privileges that needs the Python of the tests and this checkout."""
    return run_as(NOBODY, NOBODY, command, check=check, **options)


def run_as(user, group, command, check=False, **options):
    """Run a program with the rights of a user and a group (numbers) if this is root. It may need the
    Python of the tests and this checkout.

    Both may be in a home that is closed to others. Then the program gets mounts of its own, where
    empty directories cover the closed ones, and contain nothing but what it needs.
    """
    needed = {Path(path).resolve() for path in (sys.base_prefix, sys.prefix, ROOT)}
    # the uppermost ones: what is below them is covered, too
    closed = {
        next((above for above in reversed(path.parents) if not above.stat().st_mode & 1), None)
        for path in needed
    } - {None}
    if os.getuid() != 0 or not closed:
        become = {"preexec_fn": lambda: _become(user, group)} if os.getuid() == 0 else {}
        return subprocess.run(command, check=check, **become, **options)
    script = [
        *("exec %d<%s" % (number, _quoted(path)) for number, path in enumerate(needed, 3)),
        *("mount -t tmpfs -o mode=755 none %s" % _quoted(path) for path in closed),
    ]
    for number, path in enumerate(needed, 3):
        script.append("mkdir -p %s" % _quoted(path))
        script.append("mount -c --bind /proc/self/fd/%d %s" % (number, _quoted(path)))
    script.append('exec setpriv --reuid=%d --regid=%d --clear-groups "$@"' % (user, group))
    return subprocess.run(
        ["unshare", "--mount", "sh", "-ec", "\n".join(script), "sh", *command],
        preexec_fn=_become_root,
        check=check,
        **options,
    )


def _quoted(path):
    return shlex.quote(str(path))


def _become_root():
    # the effective user may be another one
    os.setresuid(0, 0, 0)


@contextlib.contextmanager
def unprivileged_home():
    """A new home of a user without privileges. If this is root, it has that user's rights
    meanwhile.

    What it starts with ``run_module(..., drop_to=NOBODY)`` has them for good.
    """
    was_root, groups = os.geteuid() == 0, os.getgroups()
    if was_root:
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    try:
        folder = tempfile.mkdtemp(prefix="swf-home-", dir="/tmp")
        try:
            os.chmod(folder, 0o755)
            yield Path(folder).resolve()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        if was_root:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
