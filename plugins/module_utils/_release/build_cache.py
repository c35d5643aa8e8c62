# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A separate build cache for each instance, so that it can have a limit and is removed with the
instance.

It is on the file system of the releases: uv copies the files that it installs, and on a file system
with reflinks the copies share their space with the cache.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
    caches_in,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.disk_full import TEXT

NAME = "cache"


@contextlib.contextmanager
def cache_of(root: str, max_mb: int) -> Iterator[dict[str, str]]:
    """The variables for builds in the root of an instance. At the end the cache is removed if it is
    larger than the limit.

    All of it: neither uv nor pip removes old packages, and the next build downloads its packages
    again. It is removed as well if a disk got full: the running programs need the space.
    """
    folder = os.path.join(root, NAME)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    full = False
    try:
        yield caches_in(folder)
    except (InstallError, OSError) as error:
        full = bool(TEXT.search("%s" % error))
        raise
    finally:
        if full or size_of(folder) > max_mb * 1_000_000:
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            # it is empty after a release was received, or if the login sets another cache
            os.rmdir(folder)


def size_of(folder: str) -> int:
    """Bytes of the files below a directory."""
    total = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total
