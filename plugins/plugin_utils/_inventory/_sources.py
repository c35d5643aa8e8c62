# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where packages come from: indexes, git repositories, and the archive of a broker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import git
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.checksums import CHECKSUM
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    IndexesError,
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    HIDDEN,
    Problem,
    problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._types import of_option
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values


def wrong_sources(values: Values) -> Iterator[Problem]:
    yield from of_indexes(values)
    if values.get("swf_testbed_release_source") == "git":
        yield from of_repositories(values)
    yield from of_extra_components(values)
    checksum = "swf_testbed_broker_archive_checksum"
    if "broker" in values.groups and not CHECKSUM.fullmatch(values.text(checksum)):
        yield problem(
            checksum,
            values.text(checksum),
            "is not a checksum",
            "write sha256: or sha512: and the hexadecimal digits",
        )
    if (
        "broker" in values.groups
        and values.given("swf_testbed_broker_version")
        and not values.given(checksum)
    ):
        yield problem(
            "swf_testbed_broker_version",
            values.text("swf_testbed_broker_version"),
            "needs the checksum of its archive",
            "set %s, too" % checksum,
        )
    for group in ("database", "redis"):
        name = "swf_testbed_%s_host" % group
        if group in values.groups and not values.text(name):
            yield Problem(
                name,
                "is empty",
                "the group %s contains this host" % group,
                "write the address of this host, or remove it from the group",
            )


def of_indexes(values: Values) -> Iterator[Problem]:
    name = "swf_testbed_pip_indexes"
    indexes = values.given_value(name)
    if indexes is None or any(of_option(_variables.options()[name], indexes, name)):
        return
    if not indexes:
        yield problem(
            name,
            indexes,
            "is empty, and no index would provide packages",
            "name an index, or remove the line",
        )
        return
    try:
        normalised(indexes)
    except (IndexesError, ValueError) as error:
        for line in str(error).splitlines():
            # the text contains no credential
            evidence, _word, fix = line.partition(name + ": ")[2].rstrip(".").partition(". Fix: ")
            yield Problem(
                name,
                "cannot be used",
                evidence or "it contains an invalid address",
                "%s; see docs/reference/package_indexes.md" % (fix or "correct that entry"),
            )


def of_repositories(values: Values) -> Iterator[Problem]:
    name = "swf_testbed_release_git_repositories"
    repositories = values.entries(name)
    if not repositories:
        yield Problem(
            name,
            "is empty",
            "swf_testbed_release_source is git",
            "name a repository and a commit for each component",
        )
    seen = set()
    for place, entry in enumerate(repositories):
        where = "%s[%d]" % (name, place)
        yield from of_repository(values, where, entry)
        key = (entry.get("url"), entry.get("subdirectory")) if isinstance(entry, dict) else None
        if key and str(key) in seen:
            yield problem(
                where + ".url",
                HIDDEN if git.refusal(str(key[0])) else key[0],
                "is listed twice",
                "remove one of them",
            )
        seen.add(str(key))


def of_extra_components(values: Values) -> Iterator[Problem]:
    """Where the components that an inventory adds come from."""
    name = "swf_testbed_extra_components"
    for place, component in enumerate(values.entries(name)):
        if not isinstance(component, dict) or component.get("repository") is None:
            continue
        where = "%s[%d].repository" % (name, place)
        yield from of_repository(values, where, component["repository"])
        if component.get("package"):
            yield Problem(
                where,
                "excludes package",
                "the component has both",
                "remove one of them: a distribution comes from git or from an index",
            )


def of_repository(values: Values, where: str, entry: Any) -> Iterator[Problem]:
    if not isinstance(entry, dict) or not all(
        isinstance(entry.get(key), str) for key in ("url", "commit")
    ):
        return
    inside = entry.get("subdirectory") or ""
    cause = git.refusal(entry["url"])
    if cause:
        yield Problem(
            where + ".url",
            "is not accepted",
            cause.rstrip("."),
            "write an https or ssh address without credentials",
        )
    elif (
        values.given_value("swf_testbed_release_git_token")
        and urlsplit(entry["url"]).scheme != "https"
    ):
        yield problem(
            where + ".url",
            entry["url"],
            "is not https, and swf_testbed_release_git_token is for https only",
            "write an https address, or remove the token",
        )
    if not git.COMMIT.match(entry["commit"]):
        yield problem(
            where + ".commit",
            entry["commit"],
            "is not a commit; branches and tags can change",
            "write the full id: git ls-remote %s" % git.shown(entry["url"]),
        )
    if isinstance(inside, str) and (os.path.isabs(inside) or ".." in inside.split("/")):
        yield problem(
            where + ".subdirectory",
            inside,
            "is outside of the repository",
            "write a path inside the repository",
        )
