# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels of components from git: built once on the controller at pinned commits.

Hosts get the wheels only: no host needs a token or git, and no address of a repository can end up in
``direct_url.json`` or ``pip freeze``. All hosts get the same files, although a later build of the
same commit may differ.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git import (
    checked,
    checkout,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

#: name of the index that stands for the wheels, in by_index and in messages
INDEX = "git"


def place(repositories: Iterable[Mapping[str, Any]], directory: str) -> str:
    """Directory of the wheels of these commits; another commit of one of them makes another
    directory."""
    text = "\n".join(
        sorted("%(url)s %(commit)s %(subdirectory)s" % repository for repository in repositories)
    )
    return os.path.join(
        os.path.expanduser(directory), "git-" + hashlib.sha256(text.encode()).hexdigest()[:12]
    )


def obtain(
    repositories: Sequence[Mapping[str, Any]],
    directory: str,
    login: Mapping[str, str | None],
    check_mode: bool,
) -> dict[str, Any] | None:
    """The index that stands for the wheels; they are built first if they do not exist.

    :param repositories: dicts with ``url``, ``commit`` and ``subdirectory``, which may be None.
    :param directory: of all wheels on the controller.
    :param login: dict with ``username``, ``token`` and ``ca_cert``, each may be None.
    :returns: an entry for ``swf_testbed_pip_indexes``, or None in check mode if the wheels do
        not exist.
    :raises GitError, InstallError, OSError:
    """
    for repository in repositories:
        checked(repository["url"], repository["commit"])
    target = place(repositories, directory)
    if not os.path.isdir(target):
        if check_mode:
            return None
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        # next to the target: the rename at the end is atomic, and hosts of the same play may come
        # here together
        scratch = tempfile.mkdtemp(dir=os.path.dirname(target))
        try:
            for repository in repositories:
                build(repository, scratch, login)
            os.chmod(scratch, 0o700)
            if not os.path.isdir(target):
                os.rename(scratch, target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    names = sorted(
        {
            canonical(os.path.basename(path).split("-")[0])
            for path in glob.glob(os.path.join(target, "*.whl"))
        }
    )
    return {"name": INDEX, "preset": "directory", "url": target, "packages": names}


def build(repository: Mapping[str, Any], outdir: str, login: Mapping[str, str | None]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        source = os.path.join(scratch, "source")
        checkout(repository["url"], repository["commit"], source, **login)
        folder = os.path.join(source, repository["subdirectory"] or "")
        shutil.move(
            wheels.build(folder, ["wheel"], os.path.join(scratch, "built"))["wheel"], outdir
        )


def pack(directory: str, archive: str) -> None:
    """Pack the wheels of a directory into one archive, for one transfer."""
    with tarfile.open(archive, "w") as stream:
        for path in sorted(glob.glob(os.path.join(directory, "*.whl"))):
            stream.add(path, os.path.basename(path))


def unpack(archive: str, directory: str) -> None:
    """Unpack the wheels of an archive; nothing else is unpacked, and nothing outside of the
    directory is written."""
    with tarfile.open(archive) as stream:
        for member in stream.getmembers():
            wheel = member.name.endswith(".whl") and "/" not in member.name
            content = stream.extractfile(member) if wheel and member.isfile() else None
            if content:
                with open(os.path.join(directory, member.name), "wb") as target:
                    shutil.copyfileobj(content, target)
