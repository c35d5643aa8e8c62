# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits the size of a directory: the least recently used files are removed."""

from __future__ import annotations

import contextlib
import logging
import os
import threading

from downloads import PARTIAL

LOG = logging.getLogger("index.room")
# the space of a small file in most file systems
BLOCK = 4096
# part of the limit that is freed each time: otherwise every new file would cause a count of all
FREE = 0.05


def on_disk(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


class Room:
    """
    :param directory: the limited directory, with all its subdirectories.
    :param max_bytes: the limit.
    """

    def __init__(self, directory: str, max_bytes: int) -> None:
        self.directory, self.max_bytes = directory, max_bytes
        self.lock = threading.Lock()
        #: at least the size of all files: a file that replaces another one counts in addition,
        #: until the next full count
        self.bytes = 0
        self.written(max_bytes + 1)

    def written(self, size: int) -> None:
        """Count a new file of this size; remove files if the limit is exceeded."""
        with self.lock:
            self.bytes += on_disk(size)
            if self.bytes > self.max_bytes:
                self._make()

    def _make(self) -> None:
        found = []
        for folder, _folders, names in os.walk(self.directory):
            for name in names:
                path = os.path.join(folder, name)
                # other threads replace and rename files
                with contextlib.suppress(FileNotFoundError):
                    if not name.startswith(PARTIAL):
                        status = os.stat(path)
                        found.append((status.st_mtime_ns, on_disk(status.st_size), path))
        self.bytes = sum(size for _time, size, _path in found)
        wanted = self.max_bytes if self.bytes <= self.max_bytes else self.max_bytes * (1 - FREE)
        gone = 0
        for _time, size, path in sorted(found):
            if self.bytes <= wanted:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            self._remove_empty(os.path.dirname(path))
            self.bytes -= size
            gone += 1
        if gone:
            LOG.info(
                "removed the %d least recently used files, for the limit of %d bytes",
                gone,
                self.max_bytes,
            )

    def _remove_empty(self, folder: str) -> None:
        """Remove an empty directory and its empty parents, except those directly in the limited
        one."""
        with contextlib.suppress(OSError):
            while os.path.dirname(folder) != self.directory:
                os.rmdir(folder)
                folder = os.path.dirname(folder)
