# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the members of an archive below a directory, and nothing outside of it."""

from __future__ import annotations

import os
import re
import shutil
import tarfile

# links that lead out of a virtual environment
INTERPRETER = re.compile(r"bin/python[0-9.]*")


class ArchiveError(ValueError):
    """The archive cannot be made or used; nothing of it is left."""


def stays(name: str, target: str) -> bool:
    """Whether a link leads into the environment, or to its Python."""
    if os.path.isabs(target):
        return INTERPRETER.fullmatch(name) is not None
    return os.path.normpath(os.path.join(os.path.dirname(name), target)).split("/")[0] != ".."


def extract(
    tar: tarfile.TarFile, info: tarfile.TarInfo, part: str, path: str, links: list[tuple[str, str]]
) -> None:
    name = info.name[len(part) + 1 :]
    target = os.path.join(path, name) if name else path
    mode = info.mode & 0o755
    if os.path.isabs(name) or ".." in name.split("/"):
        raise ArchiveError("%s in the archive would be outside of the release" % info.name)
    if info.isdir():
        os.mkdir(target)
        os.chmod(target, mode | 0o700)
    elif info.isfile() and (content := tar.extractfile(info)):
        # there are no links yet, and nothing is written twice
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as stream:
            shutil.copyfileobj(content, stream, 1 << 20)
            os.fchmod(handle, mode)
        os.utime(target, (info.mtime, info.mtime))
    elif info.issym() and stays(name, info.linkname):
        links.append((name, info.linkname))
    else:
        raise ArchiveError(
            "%s in the archive is neither a file, a directory nor a link that stays in the release"
            % info.name
        )
