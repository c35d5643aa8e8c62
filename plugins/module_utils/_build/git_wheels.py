# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels of components that come from git: built once on the controller at pinned commits, and kept
there.

Hosts get the wheels and never see the repositories: no host needs a token or a git, and nothing of
an address can end up in ``direct_url.json`` or ``pip freeze``. All hosts get the same files,
whatever a build would make of the same commit tomorrow.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import tarfile
import tempfile

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git import checked, checkout
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

#: name of the index that stands for the wheels, in by_index and in messages
INDEX = "git"


def place(repositories, directory):
    """Directory of the wheels of these commits, which move together: another commit of one of them
    is another directory."""
    text = "\n".join(sorted("%(url)s %(commit)s "
                            "%(subdirectory)s" % repository for repository in repositories))
    return os.path.join(os.path.expanduser(directory), "git-" + hashlib.sha256(text.encode()).hexdigest()[:12])


def obtain(repositories, directory, login, check_mode):
    """The index that stands for the wheels; they are built first where they are not there yet.

    :param repositories: dicts with ``url``, ``commit`` and ``subdirectory``, which may be None.
    :param directory: where wheels are kept on the controller.
    :param login: dict with ``username``, ``token`` and ``ca_cert``, each may be None.
    :returns: an entry for ``swf_testbed_pip_indexes``, or None in check mode when the wheels are
        not there yet.
    :raises GitError, InstallError, OSError:
    """
    for repository in repositories:
        checked(repository["url"], repository["commit"])
    target = place(repositories, directory)
    if not os.path.isdir(target):
        if check_mode:
            return None
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        # beside the target: the rename at the end is atomic, and hosts of the same play may come
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
    names = sorted({canonical(os.path.basename(path).split("-")[0]) for path in glob.glob(os.path.join(target, "*.whl"))})
    return {"name": INDEX, "preset": "directory", "url": target, "packages": names}


def build(repository, outdir, login):
    with tempfile.TemporaryDirectory() as scratch:
        source = os.path.join(scratch, "source")
        checkout(repository["url"], repository["commit"], source, **login)
        folder = os.path.join(source, repository["subdirectory"] or "")
        shutil.move(wheels.build(folder, ["wheel"], os.path.join(scratch, "built"))["wheel"], outdir)


def pack(directory, archive):
    """Put the wheels of a directory into one archive, for one transfer."""
    with tarfile.open(archive, "w") as stream:
        for path in sorted(glob.glob(os.path.join(directory, "*.whl"))):
            stream.add(path, os.path.basename(path))


def unpack(archive, directory):
    """Take the wheels out of an archive again; nothing else is taken, and nothing outside of the
    directory is written."""
    with tarfile.open(archive) as stream:
        for member in stream.getmembers():
            if member.isfile() and member.name.endswith(".whl") and "/" not in member.name:
                with open(os.path.join(directory, member.name), "wb") as target:
                    shutil.copyfileobj(stream.extractfile(member), target)
