# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a build failed because a disk is full, or a quota is used up, and which.

uv and pip do not report it when they write bytecode, and ensurepip hides it: so the disk itself is
checked, too.
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
# with less than that the running programs are about to fail
LEAST_MB = 10


def folders(path: str) -> list[str]:
    """Directories that a build writes to: that of the environment with a cache beside it, temporary files, and caches
    that the login names."""
    caches = [os.environ.get(name, "") for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR")]
    return [
        folder
        for folder in [os.path.dirname(path), tempfile.gettempdir(), *caches]
        if os.path.isdir(folder)
    ]


def evidence(path: str, output: str = "", number: int | None = None) -> list[str]:
    """The evidence that a disk is full, in lines; empty if none is.

    Call it before anything is removed.

    :param output: of the command that failed.
    :param number: errno of the OSError, if it was one.
    """
    lines: list[str] = []
    asked: dict[str, int] = {}
    for folder in folders(path):
        mount = mount_of(folder)
        if mount not in asked:
            error = write_error(folder)
            asked[mount] = free_mb(folder)
            if error and error.errno in FULL:
                lines.append(line(os.strerror(error.errno), folder, asked[mount], mount))
    match = TEXT.search(output)
    if not lines and (number in FULL or match):
        # the failure removed the files that filled it
        quota = number == errno.EDQUOT or re.search("[Qq]uota|122", match.group() if match else "")
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


def too_little_left(path: str) -> list[str]:
    """The same for a build that seems to be successful."""
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


def line(what: str, folder: str, free: int, mount: str) -> str:
    return "%s, in %s: %d MB are free at %s" % (what, folder, free, mount)
