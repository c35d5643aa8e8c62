# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a build failed because a disk is full, or a quota is used up, and which.

uv and pip do not report it when they write bytecode, and ensurepip hides it: the disk itself is
asked, too.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.writes import (
    FULL,
    free_mb,
    mount_of,
    write_error,
)

TEXT = re.compile(
    r"[Nn]o space left on device|os error 28\b|[Qq]uota exceeded|os error 122\b|Errno 28\b|Errno "
    r"122\b"
)
# with less than that the programs that run are about to fail
LEAST_MB = 10


def folders(path):
    """Where a build writes: the environment with a cache beside it, temporary files, and caches
    that the login names."""
    caches = [os.environ.get(name, "") for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR")]
    return [
        folder
        for folder in [os.path.dirname(path), tempfile.gettempdir(), *caches]
        if os.path.isdir(folder)
    ]


def evidence(path, output="", number=None):
    """What tells that a disk is full, in lines; empty if none is.

    Is to be called before anything is removed.

    :param output: of the command that failed.
    :param number: of the OSError, where it was one.
    """
    lines, asked = [], {}
    for folder in folders(path):
        mount = mount_of(folder)
        if mount not in asked:
            error = write_error(folder)
            asked[mount] = free_mb(folder)
            if error and error.errno in FULL:
                lines.append(line(os.strerror(error.errno), folder, asked[mount], mount))
    if not lines and (number in FULL or TEXT.search(output)):
        # what filled it was taken away with the failure
        quota = number == errno.EDQUOT or re.search(
            "[Qq]uota|122", TEXT.search(output).group() if TEXT.search(output) else ""
        )
        lines = [
            line(
                os.strerror(errno.EDQUOT if quota else errno.ENOSPC),
                folder,
                free_mb(folder),
                mount_of(folder),
            )
            for folder in folders(path)[:1]
        ]
    return lines


def too_little_left(path):
    """The same for a build that seems to have been successful."""
    mount = mount_of(os.path.dirname(path))
    free = free_mb(mount)
    if free < LEAST_MB:
        return [
            line(
                "%s (less than %d MB are left)" % (os.strerror(errno.ENOSPC), LEAST_MB),
                path,
                free,
                mount,
            )
        ]
    return evidence(path)


def line(what, folder, free, mount):
    return "%s, in %s: %d MB are free at %s" % (what, folder, free, mount)
