# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modes that do not depend on the umask of the login: with 077 a service's user cannot read the
files that root installs, with 000 anybody can change them.

Not for files with secrets: these get their own modes before their content.
"""

from __future__ import annotations

import os
import stat


def set_umask() -> None:
    """Let everybody read, and only the owner write, the files that this process creates, unless a
    mode is set explicitly."""
    os.umask(0o022)


def readable(path: str) -> None:
    """Let everybody read, and only the owner write, everything below a directory.

    An installer takes files out of a cache with the modes that they had when they were cached.
    """
    set_mode(path)
    for folder, folders, names in os.walk(path):
        for name in folders + names:
            set_mode(os.path.join(folder, name))


def set_mode(path: str) -> None:
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        return
    wanted = 0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644
    if stat.S_IMODE(mode) != wanted:
        os.chmod(path, wanted)
