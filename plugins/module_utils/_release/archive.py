# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished release as one archive: packed where it was built, unpacked where it would be built
otherwise.

A virtual environment has its own path, and that of its Python, in many of its files. So it is sent
only to the same path on a host of the same kind. The archive is compressed, and the same for the
same files. Times are kept to the second, as bytecode has them.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import stat
import tarfile
import zlib

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    Pip,
    Uv,
    find_uv,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.python import find_python
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import environments
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.drift import differences

#: the first member of an archive: {part: the path that it is for}
LABEL = "archive.json"
# what a virtual environment has outside of itself
INTERPRETER = re.compile(r"bin/python[0-9.]*")
# level 6 makes tools (43 MB) 9 % smaller, 18.1 and not 19.8 MB, and takes 2.7 times the processor's
# time
LEVEL = 1


class ArchiveError(ValueError):
    """The archive cannot be made, or is not what it should be; nothing is left of it."""


def kind_of_host(python, places):
    """What hosts must have in common for one of them to take what another one built.

    Of the Python that is its minor version, as for a release whose Python is updated, and its path.

    :param python: the Python that is asked for, from :func:`python.resolved`.
    :param places: {part: (path, manifest or None)}.
    :raises ValueError: there is no such Python.
    """
    manifests = [found for _path, found in places.values()]
    if all(manifests):
        version, executable = places["release"][1]["python"], places["release"][1]["executable"]
    else:
        found = find_python(python)
        if found is None:
            raise ValueError(
                "there is no Python called %r on this host. Set swf_testbed_python to the path of "
                "one" % python
            )
        version, executable = found["version"], found["path"]
    return {
        "machine": platform.machine(),
        "libc": libc(),
        "python": environments.short(version),
        "executable": executable,
        **{part: path for part, (path, _manifest) in places.items()},
    }


def libc():
    """Name and version of the C library, empty where it does not say (musl)."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return ""


def pack(paths, archive):
    """Put environments into an archive; returns the SHA-256 of it.

    :param paths: {part: path of an environment}.
    :param archive: a file that is there: who made it is to read it.
    :raises ArchiveError: an environment is not complete, or not what was built; or there is no
        room.
    """
    for path in paths.values():
        found = environments.manifest(path)
        if found is None:
            raise ArchiveError(
                "there is no complete release at %s on the host that was to have it. See above why "
                "not" % path
            )
        wrong = differences(path, found)
        if wrong:
            raise ArchiveError(
                "%s is not what was built there: %s. Remove it, then run again: it is built anew"
                % (path, "; ".join(wrong[:3]))
            )
    try:
        with open(archive, "r+b") as stream:
            with (
                gzip.GzipFile("", "wb", LEVEL, stream, mtime=0) as packed,
                tarfile.open(fileobj=packed, mode="w|") as tar,
            ):
                label = json.dumps(paths, sort_keys=True).encode()
                tar.addfile(member(LABEL, stat.S_IFREG | 0o644, len(label)), io.BytesIO(label))
                for part, path in sorted(paths.items()):
                    add(tar, part, path)
    except OSError as error:
        raise ArchiveError(
            "cannot pack %s into %s: %s. Look at the room there: df -h"
            % (
                " and ".join(sorted(paths.values())),
                os.path.dirname(archive),
                error.strerror or error,
            )
        ) from error
    return digest(archive)


def add(tar, part, path):
    """Add an environment, but for its manifest: who receives it writes that, as the last file."""
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


def member(name, mode, size, mtime=0, link=None):
    info = tarfile.TarInfo(name)
    info.type = (
        tarfile.DIRTYPE
        if stat.S_ISDIR(mode)
        else tarfile.SYMTYPE
        if link is not None
        else tarfile.REGTYPE
    )
    # nobody but the owner is to write it, whatever the umask was
    info.mode, info.size, info.mtime, info.linkname = mode & 0o755, size, mtime, link or ""
    return info


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def verify(archive, sha256):
    """Refuse an archive that is not, to the byte, the one that was packed.

    :raises ArchiveError, OSError:
    """
    found = digest(archive)
    if found != sha256:
        raise ArchiveError(
            "the archive arrived with other content: %d bytes with the SHA-256 %s, and %s was "
            "sent. Look at the "
            "room there (df -h), then run again" % (os.path.getsize(archive), found, sha256)
        )


class Received:
    """Stands where uv or pip does when an environment is built, and takes it out of an archive."""

    def __init__(self, archive, part, uv):
        """:param uv: path of the uv that is among the tools, which may not be there."""
        self.archive, self.part, self.uv = archive, part, uv

    def create(self, venv, python):  # pylint: disable=unused-argument
        unpack(self.archive, self.part, venv)

    def install(self, venv, requirements, index, access_dir):
        """Everything is in the archive, and no index is asked."""

    def check(self, venv):
        # not before the tools are unpacked: an environment that uv made has no pip
        uv = find_uv(self.uv)
        (Uv(uv) if uv else Pip()).check(venv)


def receive(archive, part, path, lock, python, indexes, uv, sent_from, **about):
    """Unpack an environment, with all that is done for one that is built; returns its manifest. A
    failure leaves nothing.

    :raises ArchiveError, InstallError, OSError:
    """
    try:
        found = environments.build(
            path, lock, python, Received(archive, part, uv), indexes, **about
        )
        found = dict(found, sent_from=sent_from)
        environments.write_manifest(path, found)
        return found
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(path, environments.MANIFEST))
        shutil.rmtree(path, ignore_errors=True)
        raise


def unpack(archive, part, path):
    """Unpack one part to where it was built.

    :raises ArchiveError: the archive is damaged, is for another path, or has what does not belong
        into an environment.
    """
    links = []
    try:
        with tarfile.open(archive, "r|gz") as tar:
            label = tar.next()
            wanted(
                json.load(tar.extractfile(label)) if label and label.name == LABEL else {},
                part,
                path,
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
        FileExistsError,
        FileNotFoundError,
        NotADirectoryError,
    ) as error:
        raise ArchiveError(
            "the archive with it is cut off or damaged (%s). Run again" % error
        ) from error
    # last, so that no file is written through a link
    for name, target in links:
        os.symlink(target, os.path.join(path, name))


def wanted(paths, part, path):
    if paths.get(part) != path:
        raise ArchiveError(
            "the archive has the %s for %s, and this host needs it at %s: another run worked on "
            "this host. Run "
            "again" % (part, paths.get(part, "no path"), path)
        )


def stays(name, target):
    """Whether a link leads to the environment, or to its Python."""
    if os.path.isabs(target):
        return INTERPRETER.fullmatch(name) is not None
    return os.path.normpath(os.path.join(os.path.dirname(name), target)).split("/")[0] != ".."


def extract(tar, info, part, path, links):
    name = info.name[len(part) + 1 :]
    target = os.path.join(path, name) if name else path
    mode = info.mode & 0o755
    if os.path.isabs(name) or ".." in name.split("/"):
        raise ArchiveError("%s in the archive would be outside of the release" % info.name)
    if info.isdir():
        os.mkdir(target)
        os.chmod(target, mode | 0o700)
    elif info.isfile():
        # there are no links yet, and nothing is written twice
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as stream:
            shutil.copyfileobj(tar.extractfile(info), stream, 1 << 20)
            os.fchmod(handle, mode)
        os.utime(target, (info.mtime, info.mtime))
    elif info.issym() and stays(name, info.linkname):
        links.append((name, info.linkname))
    else:
        raise ArchiveError(
            "%s in the archive is no file, no directory and no link that stays in the release"
            % info.name
        )
