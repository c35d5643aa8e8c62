# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modes of a release. A build gives each file the mode 0755 or 0644, and lists the former."""

from __future__ import annotations

import json
import os
import stat

LIST = "executables.json"


class Modes:
    """The modes of the files of a release when it was built.

    :param path: of a release; one of an older collection has no list.
    """

    def __init__(self, path: str) -> None:
        self._top = path
        try:
            with open(os.path.join(path, LIST), encoding="utf-8") as stream:
                self._executable: set[str] | None = set(json.load(stream))
        except (OSError, ValueError):
            self._executable = None

    def difference(self, file: str, mode: int) -> str | None:
        """
        :param file: a path in the release, with or without dots.
        :param mode: of the file, as of ``stat``.
        """
        if self._executable is None:
            return None
        name = os.path.relpath(file, self._top)
        built = 0o755 if name in self._executable else 0o644
        if stat.S_IMODE(mode) == built:
            return None
        return "has the mode %04o, and had %04o" % (stat.S_IMODE(mode), built)


def write_list(path: str) -> None:
    """List the executable files of a release."""
    found = []
    for folder, _folders, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            mode = os.lstat(file).st_mode
            if stat.S_ISREG(mode) and mode & stat.S_IXUSR:
                found.append(os.path.relpath(file, path))
    with open(os.path.join(path, LIST), "w", encoding="utf-8") as stream:
        json.dump(sorted(found), stream)
