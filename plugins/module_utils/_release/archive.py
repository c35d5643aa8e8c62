# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished release as one archive: exported on the host that built it, unpacked on other hosts.

Many files of a virtual environment contain its path and that of its Python. So it is sent only to
the same path on a host of the same platform. The archive is compressed, and identical for identical
files. Times are stored to the second, as bytecode has them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import stat
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    Pip,
    Uv,
    find_uv,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.distribution import (
    distribution,
    platform_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.python import find_python
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import environments
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.drift import differences
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.members import (
    ArchiveError,
    extract,
)

#: the first member of an archive: {part: the path that it is for}
LABEL = "archive.json"
# of a member that is in the archive twice, or whose directory is not
UNEXPECTED = (FileExistsError, FileNotFoundError, NotADirectoryError)
# level 6 makes tools (43 MB) 9 % smaller, 18.1 and not 19.8 MB, and takes 2.7 times the processor's
# time
LEVEL = 1


def platform_key(
    python: str, places: Mapping[str, tuple[str, dict[str, Any] | None]]
) -> dict[str, str]:
    """What two hosts must have in common for one of them to receive a release of the other.

    Of the Python that is its path and its minor version, since the Python of a release is updated.

    :param python: the Python for the release, from :func:`python.resolved`.
    :param places: {part: (path, manifest or None)}.
    :raises ValueError: there is no such Python.
    """
    release = places["release"][1]
    if release and places["tools"][1]:
        version, executable = release["python"], release["executable"]
    else:
        found = find_python(python)
        if found is None:
            raise ValueError(
                "there is no Python called %r on this host. Fix: set swf_testbed_python to the "
                "path of one" % python
            )
        version, executable = found["version"], found["path"]
    return {
        "machine": platform.machine(),
        # two of them can have the same C library and Python, and other libraries
        "system": platform_of(distribution()),
        "libc": libc(),
        "python": environments.short(version),
        "executable": executable,
        **{part: path for part, (path, _manifest) in places.items()},
    }


def libc() -> str:
    """Name and version of the C library, empty if it does not report them (musl)."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return ""


def pack(paths: Mapping[str, str], archive: str) -> str:
    """Pack environments into an archive; returns its SHA-256.

    :param paths: {part: path of an environment}.
    :param archive: an existing file, which its owner will read.
    :raises ArchiveError: an environment is incomplete or was changed; or the disk is full.
    """
    for path in paths.values():
        found = environments.manifest(path)
        if found is None:
            raise ArchiveError(
                "there is no complete release at %s on the host that should have built it, for the "
                "reason above" % path
            )
        wrong = differences(path, found)
        if wrong:
            raise ArchiveError(
                "%s was changed after it was built: %s. Fix: remove it, then run again to build it "
                "again" % (path, "; ".join(wrong[:3]))
            )
    try:
        with open(archive, "r+b") as stream:
            with (
                gzip.GzipFile("", "wb", LEVEL, stream, mtime=0) as compressed,
                tarfile.open(fileobj=compressed, mode="w|") as tar,
            ):
                label = json.dumps(paths, sort_keys=True).encode()
                tar.addfile(member(LABEL, stat.S_IFREG | 0o644, len(label)), io.BytesIO(label))
                for part, path in sorted(paths.items()):
                    add(tar, part, path)
    except OSError as error:
        raise ArchiveError(
            "cannot pack %s into %s: %s. Fix: check the free space there (df -h)"
            % (
                " and ".join(sorted(paths.values())),
                os.path.dirname(archive),
                error.strerror or error,
            )
        ) from error
    return digest(archive)


def add(tar: tarfile.TarFile, part: str, path: str) -> None:
    """Add an environment without its manifest, which the receiver writes as the last file."""
    for folder, folders, names in os.walk(path):
        folders.sort()
        top = os.path.normpath(os.path.join(part, os.path.relpath(folder, path)))
        tar.addfile(member(top, os.stat(folder).st_mode, 0))
        for name in sorted(
            names + [name for name in folders if os.path.islink(os.path.join(folder, name))]
        ):
            file = os.path.join(folder, name)
            status = os.lstat(file)
            if os.path.dirname(file) == path and name == environments.MANIFEST:
                continue
            if stat.S_ISLNK(status.st_mode):
                tar.addfile(
                    member(os.path.join(top, name), status.st_mode, 0, link=os.readlink(file))
                )
            else:
                with open(file, "rb") as stream:
                    tar.addfile(
                        member(
                            os.path.join(top, name),
                            status.st_mode,
                            status.st_size,
                            int(status.st_mtime),
                        ),
                        stream,
                    )


def member(
    name: str, mode: int, size: int, mtime: int = 0, link: str | None = None
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = (
        tarfile.DIRTYPE
        if stat.S_ISDIR(mode)
        else tarfile.SYMTYPE
        if link is not None
        else tarfile.REGTYPE
    )
    # only the owner may write it, whatever the umask was
    info.mode, info.size, info.mtime, info.linkname = mode & 0o755, size, mtime, link or ""
    return info


def digest(path: str) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def verify(archive: str, sha256: str) -> None:
    """Refuse an archive that is not identical to the exported one.

    :raises ArchiveError, OSError:
    """
    found = digest(archive)
    if found != sha256:
        raise ArchiveError(
            "the archive arrived with other content: %d bytes with the SHA-256 %s, and %s was "
            "sent. Fix: check the free space there (df -h), then run again"
            % (os.path.getsize(archive), found, sha256)
        )


class Received:
    """An installer like uv and pip, which unpacks an environment from an archive."""

    def __init__(self, archive: str, part: str, uv: str | None) -> None:
        """:param uv: path of the uv among the tools, which need not exist yet."""
        self.archive, self.part, self.uv = archive, part, uv

    def create(self, venv: str, python: str) -> None:  # pylint: disable=unused-argument
        unpack(self.archive, self.part, venv)

    def install(
        self, venv: str, requirements: str, index: Mapping[str, Any], access_dir: str | None
    ) -> None:
        """All packages are in the archive, and no index is asked."""

    def check(self, venv: str) -> None:
        # once the tools are unpacked: an environment that uv made has no pip
        uv = find_uv(self.uv)
        (Uv(uv) if uv else Pip()).check(venv)


def unpack(archive: str, part: str, path: str) -> None:
    """Unpack one part to the path at which it was built.

    :raises ArchiveError: the archive is damaged, is for another path, or has members that do not
        belong into an environment.
    """
    links: list[tuple[str, str]] = []
    try:
        with tarfile.open(archive, "r|gz") as tar:
            label = tar.next()
            content = tar.extractfile(label) if label and label.name == LABEL else None
            there = (json.load(content) if content else {}).get(part, "no path")
            if there != path:
                raise ArchiveError(
                    "the archive has the %s for %s, and this host needs it at %s: another run "
                    "worked on this host. Fix: run again" % (part, there, path)
                )
            for info in tar:
                if info.name == part or info.name.startswith(part + "/"):
                    extract(tar, info, part, path, links)
    except ArchiveError:
        raise
    except (
        tarfile.TarError,
        EOFError,
        zlib.error,
        ValueError,
        gzip.BadGzipFile,
        *UNEXPECTED,
    ) as error:
        raise ArchiveError(
            "the archive is incomplete or damaged (%s). Fix: run again" % error
        ) from error
    # last, so that no file is written through a link
    for name, target in links:
        os.symlink(target, os.path.join(path, name))
