# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Source directories, and clones of git repositories. During the clone, a token is in a file with
mode 0600."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import git as build_git
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    Project,
    PublishError,
)

#: the options of modules with sources
OPTIONS: dict[str, Any] = {
    "index": {"type": "str"},
    "sources": {"type": "list", "elements": "path", "default": []},
    "repositories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "url": {"type": "str", "required": True},
            "ref": {"type": "str"},
            "subdirectory": {"type": "str"},
            "username": {"type": "str"},
            "token": {"type": "str", "no_log": True},
            "ca_cert": {"type": "path"},
        },
    },
    "repositories_of": {"type": "str"},
}


@contextlib.contextmanager
def projects(folders: list[str], repositories: list[dict[str, Any]]) -> Iterator[list[Project]]:
    """The projects of all sources; clones are removed at the end.

    :raises PublishError: a repository cannot be cloned, or there are no sources.
    """
    if not folders and not repositories:
        raise PublishError(
            "there is nothing to publish. Fix: set directories in swf_testbed_publish_sources, or "
            "repositories in swf_testbed_publish_repositories"
        )
    problems = [problem for problem in map(refusal, repositories) if problem]
    if problems:
        raise PublishError("\n".join(problems))
    # only this user may enter this directory: it contains the tokens
    with tempfile.TemporaryDirectory(prefix="swf-sources-") as scratch:
        found = [Project(folder) for folder in folders]
        for number, repository in enumerate(repositories):
            try:
                found.append(clone(repository, os.path.join(scratch, str(number))))
            except build_git.GitError as error:
                raise PublishError(str(error)) from error
        yield found


def refusal(repository: Mapping[str, Any]) -> str | None:
    """The error message for a repository's entry, or None."""
    url, ref, inside = repository["url"], repository["ref"] or "", repository["subdirectory"] or ""
    problem = build_git.refusal(url)
    if problem:
        return "swf_testbed_publish_repositories: " + problem
    if repository["token"] and urlsplit(url).scheme != "https":
        return (
            "swf_testbed_publish_repositories: %s cannot use a token. Fix: use https, or remove "
            "the token: ssh uses the keys of this login" % url
        )
    if any(letter.isspace() for letter in repository["token"] or ""):
        return (
            "swf_testbed_publish_repositories: the token of %s contains a space or a line end. "
            "Fix: correct it" % url
        )
    if ref.startswith("-") or any(letter.isspace() for letter in ref):
        return (
            "swf_testbed_publish_repositories: %r is not a branch, tag or commit of %s. Fix: "
            "correct ref" % (ref, url)
        )
    if os.path.isabs(inside) or ".." in inside.split("/"):
        return (
            "swf_testbed_publish_repositories: the subdirectory %r of %s is outside of the "
            "repository. Fix: use a relative path without .." % (inside, url)
        )
    return None


def clone(repository: Mapping[str, Any], scratch: str) -> Project:
    """The project of a repository, cloned below a private directory. Includes all tags: some builds
    derive the version from them."""
    url, ref = repository["url"], repository["ref"]
    # the directory has the repository's name: the checks compare it with the package's
    folder = os.path.join(scratch, re.findall(r"([^/:]*?)(?:/?\.git)?/*$", url)[0] or "source")
    os.makedirs(folder)
    git = build_git.client(
        folder, url, scratch, repository["username"], repository["token"], repository["ca_cert"]
    )
    done = git("clone", "--quiet", "--no-checkout", "--", url, ".")
    if done.returncode == 0:
        names = ["refs/remotes/origin/" + ref, "refs/tags/" + ref, ref] if ref else ["HEAD"]
        verify = ("rev-parse", "--quiet", "--verify")
        found = (name for name in names if git(*verify, name + "^{commit}").returncode == 0)
        commit = next(found, None)
        if commit is None:
            raise build_git.GitError(
                "%s: the repository has no %s. Fix: push it, or correct ref"
                % (url, "branch, tag or commit %r" % ref if ref else "commit yet")
            )
        done = git("checkout", "--quiet", "--detach", commit)
    if done.returncode != 0:
        raise build_git.GitError(
            build_git.explain(url, ref or "HEAD", done.stdout, repository["token"])
        )
    inside = os.path.normpath(repository["subdirectory"] or ".")
    label = url + ("@" + ref if ref else "") + ("" if inside == "." else ":" + inside)
    return Project(os.path.join(folder, inside) if inside != "." else folder, label)
