# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels and source trees from git: made once on the controller at pinned commits.

Hosts get these files only: no host needs a token or git, and no address of a repository can end up in
``direct_url.json`` or ``pip freeze``. All hosts get the same files, although a later build of the
same commit may differ.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import trees, wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.errors import (
    CAUSES,
    diagnosis,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git import (
    GitError,
    checked,
    checkout,
    shown,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import (
    LockHeld,
    exclusive,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

#: name of the index that stands for the wheels, in by_index and in messages
INDEX = "git"
#: variable that sets the times in a wheel: a later build of the same commit makes the same wheel
EPOCH = "SOURCE_DATE_EPOCH"
WHEEL, TREE = "wheel", "tree"
# seconds to wait for a run that builds the same wheels
PATIENCE = 900


def installed_as(repository: Mapping[str, Any]) -> Sequence[str]:
    """What a release gets of a repository."""
    return repository.get("install") or [WHEEL]


def setting(repository: Mapping[str, Any]) -> str:
    """Where the address and the commit of a repository are set."""
    if repository.get("name"):
        return "swf_testbed_stack_sources (%s)" % repository["name"]
    return "swf_testbed_release_git_repositories or swf_testbed_extra_components"


def place(repositories: Iterable[Mapping[str, Any]], directory: str, more: str = "") -> str:
    """Directory of the files of these commits; another commit of one of them makes another
    directory.

    :param more: on what else its files depend.
    """
    text = "\n".join(
        sorted(
            "%(url)s %(commit)s %(subdirectory)s" % repository
            + (
                ""
                if installed_as(repository) == [WHEEL]
                else " " + json.dumps(repository, sort_keys=True)
            )
            for repository in repositories
        )
    )
    text += more
    return os.path.join(
        os.path.expanduser(directory), "git-" + hashlib.sha256(text.encode()).hexdigest()[:12]
    )


def obtain(
    repositories: Sequence[Mapping[str, Any]],
    directory: str,
    login: Mapping[str, str | None],
    check_mode: bool,
    more: str = "",
    add: Callable[[str], None] | None = None,
) -> dict[str, Any] | None:
    """The index that stands for the wheels; they are built first if they do not exist.

    :param repositories: dicts with ``url``, ``commit`` and ``subdirectory``, which may be None. Those
        of a stack also have ``name`` and ``install``.
    :param directory: of all wheels on the controller.
    :param login: dict with ``username``, ``token`` and ``ca_cert``, each may be None.
    :param more, add: on what else the files in the directory depend, and a function that makes
        these files there.
    :returns: an entry for ``swf_testbed_pip_indexes``, or None in check mode if the wheels do
        not exist.
    :raises GitError, InstallError, OSError:
    """
    for repository in repositories:
        checked(repository["url"], repository["commit"])
    target = place(repositories, directory, more)
    if not os.path.isdir(target):
        if check_mode:
            return None
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        # the hosts of a play come here in parallel: the first one builds
        with turn(target + ".lock"):
            if not os.path.isdir(target):
                fill(target, repositories, login, add)
    names = sorted(set(map(name_of, glob.glob(os.path.join(target, "*.whl")))))
    return {"name": INDEX, "preset": "directory", "url": target, "packages": names}


@contextlib.contextmanager
def turn(path: str) -> Iterator[None]:
    try:
        with exclusive(path, PATIENCE):
            try:
                yield
            finally:
                os.unlink(path)
    except LockHeld as error:
        raise GitError("another run builds the same wheels: %s" % error) from error


def fill(
    target: str,
    repositories: Iterable[Mapping[str, Any]],
    login: Mapping[str, str | None],
    add: Callable[[str], None] | None,
) -> None:
    # next to the target, since the rename at the end is atomic
    scratch = tempfile.mkdtemp(dir=os.path.dirname(target))
    try:
        for repository in repositories:
            build(repository, scratch, login)
        if add:
            add(scratch)
        os.chmod(scratch, 0o700)
        os.rename(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def build(repository: Mapping[str, Any], outdir: str, login: Mapping[str, str | None]) -> None:
    """Make the files of one repository.

    :raises GitError: the text names the repository and where it is set.
    """
    doing = "build the wheel of %s at %s" % (shown(repository["url"]), repository["commit"][:12])
    with tempfile.TemporaryDirectory() as scratch:
        source = os.path.join(scratch, "source")
        try:
            made_at = checkout(repository["url"], repository["commit"], source, **login)
            if TREE in installed_as(repository):
                # first: a build leaves files in the directory
                archive = os.path.join(outdir, trees.file_name(repository))
                trees.pack(source, archive, made_at)
            if WHEEL in installed_as(repository):
                built = wheels.build(
                    os.path.join(source, repository["subdirectory"] or ""),
                    ["wheel"],
                    os.path.join(scratch, "built"),
                    **{EPOCH: str(made_at)},
                )["wheel"]
                must_be_named(built, repository)
                shutil.move(built, outdir)
        except GitError as error:
            raise GitError("%s It is set in %s." % (error, setting(repository))) from None
        except trees.TreeError as error:
            raise GitError(
                "the files of %s cannot be a part of a release: %s. Fix: choose another commit in %s"
                % (shown(repository["url"]), error, setting(repository))
            ) from None
        except InstallError as error:
            raise GitError(explained(doing, error, source, repository)) from None


def explained(doing: str, error: InstallError, source: str, repository: Mapping[str, Any]) -> str:
    """The message for a wheel that does not build, without the path of the temporary directory."""
    fix = "choose a commit that builds in %s" % setting(repository)
    if TREE in installed_as(repository):
        fix += ", or leave wheel out of install in the stack file"
    causes = (*CAUSES, ("", "its build failed", fix))
    index = error.index["name"] if error.index else ""
    output = error.output.replace(source, "").strip()
    return diagnosis(doing, output, causes, index=index, lock="")


def must_be_named(wheel: str, repository: Mapping[str, Any]) -> None:
    """Refuse a wheel with another name than the source has in the stack: its dependents would take
    it from an index.

    :raises GitError:
    """
    found, wanted = name_of(wheel), repository.get("name")
    if wanted and canonical(wanted) != found:
        raise GitError(
            "the source %s of the stack is the distribution %s. Evidence: the name of its wheel, %s. "
            "Fix: name it %s in the stack file." % (wanted, found, os.path.basename(wheel), found)
        )


def name_of(wheel: str) -> str:
    return canonical(os.path.basename(wheel).split("-")[0])


def for_all_hosts(wheel: str, doing: str) -> None:
    """Refuse a wheel that is for the Python and the platform of the controller.

    :raises InstallError:
    """
    if not wheel.endswith("-none-any.whl"):
        raise InstallError(
            doing,
            "%s is for one platform only" % os.path.basename(wheel),
        )


def pack(directory: str, archive: str) -> None:
    """Pack the wheels and source trees of a directory into one archive, for one transfer."""
    with tarfile.open(archive, "w") as stream:
        for name in sorted(filter(is_sent, os.listdir(directory))):
            stream.add(os.path.join(directory, name), name)


def is_sent(name: str) -> bool:
    return name.endswith((".whl", trees.SUFFIX)) and "/" not in name


def unpack(archive: str, directory: str) -> None:
    """Unpack the wheels and source trees of an archive; nothing else is unpacked, and nothing outside
    of the directory is written."""
    with tarfile.open(archive) as stream:
        for member in stream.getmembers():
            content = (
                stream.extractfile(member) if is_sent(member.name) and member.isfile() else None
            )
            if content:
                with open(os.path.join(directory, member.name), "wb") as target:
                    shutil.copyfileobj(content, target)
