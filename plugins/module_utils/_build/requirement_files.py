# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requirement files of git repositories, read on the controller at pinned commits."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git import (
    GitError,
    checkout,
    shown,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git_wheels import setting

REQUIREMENT = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^]]*\])?\s*(\([^)]*\)|[<>=!~][^;@]*)?(;.*)?"
)


def obtain(
    files: Sequence[Mapping[str, Any]],
    repositories: Sequence[Mapping[str, Any]],
    login: Mapping[str, str | None],
) -> list[str]:
    """The requirements in these files.

    :param files: dicts with ``source``, the name of a repository, and ``path``.
    :param repositories: as of :func:`git_wheels.obtain`.
    :raises GitError:
    """
    found: list[str] = []
    for name in dict.fromkeys(item["source"] for item in files):
        repository = next((item for item in repositories if item.get("name") == name), None)
        if repository is None:
            raise GitError(
                "the requirement files are of %r, which is not a source. Fix: correct "
                "distributions.requirement_files of the stack file" % name
            )
        with tempfile.TemporaryDirectory() as scratch:
            top = os.path.join(scratch, "source")
            checkout(repository["url"], repository["commit"], top, **login)
            for path in (item["path"] for item in files if item["source"] == name):
                found += read(top, path, repository)
    return found


def read(top: str, path: str, repository: Mapping[str, Any]) -> Iterator[str]:
    where = "%s of %s at %s" % (path, shown(repository["url"]), repository["commit"][:12])
    place = os.path.join(top, path)
    # a link could lead to a file of the controller
    if not os.path.isfile(place) or not os.path.realpath(place).startswith(
        os.path.realpath(top) + os.sep
    ):
        raise GitError(
            "there is no file %s. Fix: correct distributions.requirement_files of the stack file, or "
            "the commit in %s" % (where, setting(repository))
        )
    with open(place, encoding="utf-8") as stream:
        text = stream.read().replace("\\\n", " ")
    for number, line in enumerate(text.splitlines(), start=1):
        requirement = re.sub(r"(^|\s)#.*$|\s--hash=\S+", "", line).strip()
        if not requirement:
            continue
        if not REQUIREMENT.fullmatch(requirement):
            raise GitError(
                "line %d of %s cannot be used. Evidence: %r is not a requirement with a name and "
                "versions; options, paths and addresses are not accepted. Fix: remove the file from "
                "distributions.requirement_files of the stack file, and write its requirements in "
                "distributions.requirements" % (number, where, requirement)
            )
        yield requirement
