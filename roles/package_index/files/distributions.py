# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distribution files: what their names mean, whether they are complete, and their metadata."""

from __future__ import annotations

import email
import gzip
import hashlib
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from email.message import Message
from typing import Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

CHUNK = 1 << 20
#: what the modules for archives raise for a damaged one
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


class Invalid(Exception):
    """A file that the index does not serve. The text has the reason."""


@dataclass(frozen=True)
class Identity:
    """What a file name stands for. The spellings of one file are equal.

    :ivar tags: build number and tags of a wheel, None for an sdist.
    """

    name: str
    version: Version
    tags: Any


def identity(filename: str) -> Identity:
    """
    :raises Invalid: it is not the name of a wheel or of an sdist.
    """
    try:
        if filename.endswith(".whl"):
            name, version, *tags = parse_wheel_filename(filename)
            return Identity(name, version, tuple(tags))
        return Identity(*parse_sdist_filename(filename), None)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        raise Invalid(
            "%s is not the name of a wheel (.whl) or of an sdist (.tar.gz, .zip)" % filename
        ) from None


def normal(filename: str) -> str:
    """The normal spelling of a file name.

    :raises Invalid: as :func:`identity`.
    """
    found = identity(filename)
    start = "%s-%s" % (found.name.replace("-", "_"), found.version)
    if found.tags is None:
        return start + (".zip" if filename.endswith(".zip") else ".tar.gz")
    return "-".join([start, *filename.split("-")[2:]])


@dataclass(frozen=True)
class Facts:
    """What a page says of a complete file.

    :ivar metadata_sha256: of a wheel's metadata. The metadata of an sdist may change in its build.
    """

    sha256: str
    size: int
    requires_python: str | None
    metadata_sha256: str | None


def inspected(path: str, filename: str) -> Facts:
    """The facts of a file, which is read as a whole.

    :raises Invalid: it is damaged, or its metadata does not belong to its name.
    """
    expected = identity(filename)
    text = metadata(path, filename)
    headers: Message = email.message_from_bytes(text)
    for key, same in (
        ("Name", lambda value: canonicalize_name(value) == expected.name),
        ("Version", lambda value: Version(value) == expected.version),
    ):
        value = str(headers.get(key) or "").strip()
        try:
            agrees = same(value)
        except InvalidVersion:
            agrees = False
        if not agrees:
            raise Invalid("the metadata in %s has the %s %r" % (filename, key.lower(), value[:80]))
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as stream:
        while part := stream.read(CHUNK):
            digest.update(part)
            size += len(part)
    return Facts(
        digest.hexdigest(),
        size,
        str(headers["Requires-Python"]).strip() if headers["Requires-Python"] else None,
        hashlib.sha256(text).hexdigest() if expected.tags is not None else None,
    )


def metadata(path: str, filename: str, whole: bool = True) -> bytes:
    """METADATA of a wheel, or PKG-INFO of an sdist.

    :param whole: also check the sums of all members.
    :raises Invalid: the archive is damaged, or has no metadata.
    """
    ending = ".dist-info/METADATA" if filename.endswith(".whl") else "/PKG-INFO"
    try:
        found = (
            _of_tar(path, ending) if filename.endswith(".tar.gz") else _of_zip(path, ending, whole)
        )
    except DAMAGED as error:
        raise Invalid(
            "%s is damaged or incomplete (%s)" % (filename, error or type(error).__name__)
        ) from None
    if len(found) != 1:
        raise Invalid("%s has %d files *%s, and one is expected" % (filename, len(found), ending))
    return found[0]


def _of_zip(path: str, ending: str, whole: bool) -> list[bytes]:
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip() if whole else None
        if damaged:
            raise zipfile.BadZipFile("the member %s has another sum" % damaged)
        names = {name for name in archive.namelist() if name.endswith(ending)}
        return [archive.read(name) for name in names if name.count("/") == 1]


def _of_tar(path: str, ending: str) -> list[bytes]:
    with gzip.open(path) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            found = [
                archive.extractfile(member).read()  # type: ignore[union-attr]
                for member in archive
                if member.isfile() and member.name.endswith(ending) and member.name.count("/") == 1
            ]
        # the sum is at the end
        while stream.read(CHUNK):
            pass
    return found
