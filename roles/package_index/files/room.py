# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a directory below a size: the files that were not used for longest go."""

from __future__ import annotations

import contextlib
import logging
import os
import threading

from downloads import PARTIAL

LOG = logging.getLogger("index.room")
# a small file takes as much of most file systems
BLOCK = 4096
# of the limit, what is left free each time: otherwise every file that comes would have all of them
# counted
FREE = 0.05


def on_disk(size):
    return -(-size // BLOCK) * BLOCK


class Room:
    """
    :param directory: what is limited, with all that is below it.
    :param max_bytes: the limit.
    """

    def __init__(self, directory, max_bytes):
        self.directory, self.max_bytes = directory, max_bytes
        self.lock = threading.Lock()
        #: at least what there is: a file that replaces another one is counted as one more, until
        #: all are counted again
        self.bytes = 0
        self.written(max_bytes + 1)

    def written(self, size):
        """Note that a file of this size was written; makes room if that was too much."""
        with self.lock:
            self.bytes += on_disk(size)
            if self.bytes > self.max_bytes:
                self._make()

    def _make(self):
        found = []
        for folder, _folders, names in os.walk(self.directory):
            for name in names:
                path = os.path.join(folder, name)
                # others replace and rename files meanwhile
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
                "removed the %d files that were not used for longest, for the limit of %d bytes",
                gone,
                self.max_bytes,
            )

    def _remove_empty(self, folder):
        """Remove a directory that became empty, and those above it; not the ones directly below the
        limited one."""
        with contextlib.suppress(OSError):
            while os.path.dirname(folder) != self.directory:
                os.rmdir(folder)
                folder = os.path.dirname(folder)
