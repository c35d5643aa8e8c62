# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of removal never run as root: what goes wrong in one of them must not be able to reach the
machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

NOBODY = 65534


def as_nobody():
    """Options of subprocess for a program that has no privileges, if this process could have some."""
    return {"preexec_fn": _become_nobody} if os.getuid() == 0 else {}


def _become_nobody():
    # the effective user may be another one already
    os.seteuid(0)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


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
