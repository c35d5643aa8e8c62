# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a release and the files that are made from git and from sdists, for the actions
release_build and wheelhouse."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import (
    git_wheels,
    requirement_files,
    sdists,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.host_index import resolved
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.lock import (
    index_of,
    versions,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import lock_file
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._last_used import (
    keep_locks,
    keep_wheels,
)

#: the options of both actions that a task may pass by name
NAMED = ("indexes", "repositories", "git_token")


@dataclass(frozen=True)
class Inputs:
    """:param indexes: to install from; that of the made wheels comes first.
    :param lock: its text; None in check mode if there is none yet.
    :param directory: of the made files on the controller, if there are any.
    """

    indexes: list[dict[str, Any]]
    lock: str | None
    directory: str | None


class Preparation:
    """Makes what is missing.

    :param options: of the action, as of ``_release.inputs.OPTIONS``, and ``indexes``.
    :raises: all methods GitError, InstallError, LockError, OSError, ValueError.
    """

    def __init__(self, options: Mapping[str, Any], check_mode: bool) -> None:
        self._options, self._check_mode = options, check_mode
        self._path = os.path.expanduser(str(options.get("lock_file") or ""))
        #: those of the options, and once the wheels are made, with theirs
        self.indexes: list[dict[str, Any]] = list(options.get("indexes") or [])
        self._repositories = [
            {"subdirectory": None, **repository} for repository in options.get("repositories") or []
        ]
        self._pins: list[str] = list(options.get("constraints") or [])
        self._requirements: list[str] = list(options.get("requirements") or [])

    def inputs(self) -> Inputs:
        if not self._path:
            raise ValueError("lock_file is required")
        made = self._made()
        if made:
            self.indexes = self._with(made)
        elif made is not None:
            # in check mode they are not built, and the lock cannot be made either
            return Inputs([], self.lock([], [git_wheels.INDEX]), None)
        made = made or {}
        built = [name for name in made.get("packages", []) if name not in self._sdists()]
        return Inputs(self.indexes, self.lock(self.indexes, built), made.get("url"))

    def lock(self, indexes: Sequence[Mapping[str, Any]], built: Sequence[str] = ()) -> str | None:
        """The text of the lock.

        :param built: names of distributions from git. All of them are wanted.
        """
        options, missing = self._options, lock_file.read(self._path) is None
        named = {lock_file.name_of(requirement) for requirement in self._requirements}
        wanted = [*self._requirements, *(name for name in built if canonical(name) not in named)]
        if missing and not self._check_mode:
            wanted += self._from_files
        text = lock_file.obtain(
            self._path,
            wanted,
            normalised(indexes),
            options.get("constraints_file"),
            lock_file.Hosts(
                options.get("min_python") or "3.10",
                options.get("lock_pythons") or (),
                options.get("lock_architectures") or (),
            ),
            self._check_mode,
            self._pins,
            self.sources(),
        )
        if options.get("locks_dir") and not self._check_mode:
            keep_locks(self._path, str(options["locks_dir"]), self._limit())
        return text

    def sources(self) -> list[dict[str, Any]]:
        """The repositories of the stack, which have a name."""
        return [
            dict(repository, install=git_wheels.installed_as(repository))
            for repository in self._repositories
            if repository.get("name")
        ]

    def _made(self) -> dict[str, Any] | None:
        """The index of the made wheels; empty in check mode if they are missing, None if there is
        nothing to make."""
        options, names = self._options, self._sdists()
        if not self._repositories and not names:
            return None
        if not options.get("wheels_dir"):
            raise ValueError("wheels_dir is required with repositories and build_from_source")
        if not all({"url", "commit"} <= set(repository) for repository in self._repositories):
            raise ValueError("each of the repositories needs url and commit")
        found = git_wheels.obtain(
            self._repositories,
            str(options["wheels_dir"]),
            self._login(),
            self._check_mode,
            json.dumps([names, self._requirements, self._files(), self._limits()]) if names else "",
            self._build_sdists if names else None,
        )
        if found and not self._check_mode:
            keep_wheels(found["url"], self._limit())
        return found or {}

    def _build_sdists(self, directory: str) -> None:
        indexes = resolved(normalised(self.indexes))
        wanted = [*self._requirements, *self._from_files]
        text = lock_file.read(self._path)
        locked = versions(text) if text else {}
        with tempfile.TemporaryDirectory() as scratch:
            lock_file.access(scratch, indexes)
            for name in self._sdists():
                if text and name not in locked:
                    continue
                mine = [item for item in wanted if lock_file.name_of(item) == name]
                # of a lock that is older than the wheels
                if name in locked and " or " not in locked[name]:
                    mine.append("%s==%s" % (name, locked[name]))
                index = dict(index_of(name, indexes))
                sdists.build(name, mine, self._limits(), index, scratch, directory)

    def _with(self, made: dict[str, Any]) -> list[dict[str, Any]]:
        """The indexes, where no other one claims a name that is made here."""
        names = made["packages"]
        others = []
        for index in self.indexes:
            claimed = index.get("packages") or []
            left = [item for item in claimed if canonical(item) not in names]
            if left or not claimed:
                others.append(dict(index, packages=left))
        return [made] * bool(names) + others

    def _sdists(self) -> list[str]:
        return sorted({canonical(name) for name in self._options.get("build_from_source") or []})

    def _files(self) -> list[Mapping[str, Any]]:
        return list(self._options.get("requirement_files") or [])

    @functools.cached_property
    def _from_files(self) -> list[str]:
        return requirement_files.obtain(self._files(), self._repositories, self._login())

    def _limits(self) -> str:
        return lock_file.limits(self._options.get("constraints_file"), self._pins)

    def _login(self) -> dict[str, str | None]:
        return {
            key: self._options.get("git_" + key) or None for key in ("username", "token", "ca_cert")
        }

    def _limit(self) -> int:
        return int(self._options.get("keep_locks") or 50)
