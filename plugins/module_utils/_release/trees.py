# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source trees of a release, in ``src/NAME``: the files of commits, with compiled bytecode, and a
list of them for the search for changes."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git_wheels import TREE
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import call
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.trees import file_name
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.lock import sources
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.members import (
    ArchiveError,
    extract,
)

FOLDER = "src"
#: in the release, with rows as in RECORD of a package: path, hash, size. The hash of a link is its
#: target.
LIST = "src.csv"
LINK = "link="
BYTECODE = "__pycache__"
# A tree may have files that are no Python of this version, such as templates: they are not compiled.
COMPILE = "import compileall, sys; compileall.compile_dir(sys.argv[1], maxlevels=99, quiet=2)"


def of_lock(text: str) -> list[dict[str, Any]]:
    """The sources of a lock whose files belong to the release."""
    return [source for source in sources(text) if TREE in source["install"]]


def place(path: str, wanted: Sequence[Mapping[str, Any]], archives: str | None) -> None:
    """Make the source trees of a release that is being built.

    :param path: of the release, whose environment exists.
    :param wanted: from :func:`of_lock`.
    :param archives: directory of the archives; None if the files are there already.
    :raises ArchiveError, InstallError, OSError:
    """
    top = os.path.join(path, FOLDER)
    for source in wanted if archives else ():
        os.makedirs(top, exist_ok=True)
        unpack(os.path.join(str(archives), file_name(source)), os.path.join(top, source["name"]))
    if wanted:
        python = os.path.join(path, "bin", "python")
        call("compile the source trees", [python, "-I", "-c", COMPILE, top])


def unpack(archive: str, target: str) -> None:
    links: list[tuple[str, str]] = []
    os.mkdir(target)
    try:
        with tarfile.open(archive) as tar:
            for info in tar:
                info.name = "./" + info.name
                extract(tar, info, ".", target, links)
    except tarfile.TarError as error:
        raise ArchiveError(
            "the archive %s is damaged (%s). Fix: run again" % (os.path.basename(archive), error)
        ) from error
    # last, so that no file is written through a link
    for name, link in links:
        os.symlink(link, os.path.join(target, name))


def write_list(path: str) -> None:
    """List the files of the source trees of a release."""
    top = os.path.join(path, FOLDER)
    with open(os.path.join(path, LIST), "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for name in names(top):
            file = os.path.join(top, name)
            if os.path.islink(file):
                writer.writerow([name, LINK + os.readlink(file), ""])
                continue
            with open(file, "rb") as content:
                found = hashlib.sha256(content.read()).digest()
            digest = base64.urlsafe_b64encode(found).rstrip(b"=").decode()
            writer.writerow([name, "sha256=" + digest, os.path.getsize(file)])


def listed(path: str) -> list[list[str]]:
    """The rows of the list.

    :raises OSError:
    """
    with open(os.path.join(path, LIST), encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def names(top: str) -> Iterator[str]:
    """All files and links below a directory except for bytecode, relative to it."""
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name != BYTECODE)
        inside = os.path.relpath(folder, top)
        for name in sorted(files + [name for name in folders if is_link(folder, name)]):
            yield os.path.normpath(os.path.join(inside, name))


def is_link(folder: str, name: str) -> bool:
    return os.path.islink(os.path.join(folder, name))
