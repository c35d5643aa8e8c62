# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a commit as one archive, on the controller. Its name has the commit."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping
from typing import Any

SUFFIX = ".tree.tar"


class TreeError(ValueError):
    """The files cannot be a part of a release."""


def file_name(source: Mapping[str, Any]) -> str:
    """The name of the archive of a source, which has ``name`` and ``commit``."""
    return "%s-%s%s" % (source["name"], source["commit"], SUFFIX)


def pack(folder: str, archive: str, made_at: int) -> None:
    """Pack all files of a directory except for those of git. Identical files make an identical
    archive.

    :param made_at: the time of the files, which programs report to browsers.
    :raises TreeError: a file is neither a file, a directory nor a link inside of the directory.
    """

    def member(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if info.name == ".git":
            return None
        inside = os.path.normpath(os.path.join(os.path.dirname(info.name), info.linkname))
        leaves = os.path.isabs(inside) or inside.split("/")[0] in ("..", ".git")
        if not (info.isfile() or info.isdir() or (info.issym() and not leaves)):
            raise TreeError(
                "%s is neither a file, a directory nor a link inside of the repository%s"
                % (info.name, " (it leads to %s)" % info.linkname if info.issym() else "")
            )
        info.mode &= 0o755
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = made_at
        return info

    with tarfile.open(archive, "w") as tar:
        for name in sorted(os.listdir(folder)):
            tar.add(os.path.join(folder, name), name, filter=member)
