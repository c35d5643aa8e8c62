# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stack file says of its release: git repositories, and how a lock is made."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import git
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    HIDDEN,
    Problem,
    problem,
)

OVERRIDES = "swf_testbed_stack_sources"
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
KEYS = ("repository", "commit")


def repositories(
    content: Mapping[str, Any], overrides: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The sources as the option ``repositories`` of the module release_build has them."""
    found = []
    for source in content.get("sources", []):
        source = {**source, **overrides.get(source["name"], {})}
        found.append(
            {
                "name": source["name"],
                "url": source["repository"],
                "commit": source["commit"],
                "subdirectory": source.get("subdirectory"),
                "install": list(source.get("install", ["wheel"])),
            }
        )
    return found


def release(content: Mapping[str, Any]) -> dict[str, Any]:
    """How a lock is made."""
    section = content.get("distributions", {})
    found = {name: list(section.get(name, [])) for name in ("requirement_files", "constraints")}
    return {
        **found,
        "build_from_source": list(section.get("build_from_source", [])),
        "tested_constraints": bool(section.get("tested_constraints", False)),
        "min_python": content["requires"]["python"],
    }


def wrong_sources(content: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """The problems of the sources of a stack file, whose types are correct."""
    seen: dict[str, str] = {}
    for number, source in enumerate(content.get("sources", [])):
        where, name = "%s: sources[%d]" % (path, number), source["name"]
        if not NAME.fullmatch(name):
            yield problem(
                where + ".name",
                name,
                "is not the name of a distribution",
                "use letters, digits, dot, dash and underscore",
            )
        if canonical(name) in seen:
            yield problem(where + ".name", name, "is listed twice", "remove one of them")
        seen[canonical(name)] = name
        inside = source.get("subdirectory", "")
        if os.path.isabs(inside) or ".." in inside.split("/"):
            yield problem(
                where + ".subdirectory",
                inside,
                "is outside of the repository",
                "write a path inside the repository",
            )
        if source.get("install") == []:
            yield problem(where + ".install", [], "is empty", "write wheel, tree or both")
        yield from wrong_place(where, source)
    names = [source["name"] for source in content.get("sources", [])]
    for number, item in enumerate(content.get("distributions", {}).get("requirement_files", [])):
        if item["source"] not in names:
            where = "%s: distributions.requirement_files[%d].source" % (path, number)
            yield unknown(where, item["source"], names)


def wrong_place(where: str, source: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of an address and a commit, each if it is there."""
    address, commit = source.get("repository"), source.get("commit")
    cause = git.refusal(address) if address is not None else None
    if cause:
        yield Problem(
            where + ".repository",
            "is not accepted",
            cause.rstrip("."),
            "write an https, ssh or file address without credentials",
        )
    if commit is not None and not git.COMMIT.match(commit):
        yield problem(
            where + ".commit",
            commit,
            "is not a commit; branches and tags can change",
            "write the full id: git ls-remote %s" % (git.shown(address) if address else "ADDRESS"),
        )


def wrong_overrides(content: Mapping[str, Any], overrides: Any) -> Iterator[Problem]:
    """The problems of swf_testbed_stack_sources."""
    if not isinstance(overrides, Mapping):
        return
    names = [source["name"] for source in content.get("sources", [])]
    for name, source in overrides.items():
        where = "%s.%s" % (OVERRIDES, name)
        if name not in names:
            yield unknown(where, name, names)
        elif not isinstance(source, Mapping) or not all(
            isinstance(value, str) for value in source.values()
        ):
            yield problem(
                where, HIDDEN, "is not a dictionary of texts", "write repository and commit"
            )
        else:
            for key in source:
                if key not in KEYS:
                    near = _variables.nearest(str(key), KEYS)
                    yield problem("%s.%s" % (where, key), key, "is unknown", "write %s" % near)
            yield from wrong_place(where, source)


def unknown(where: str, name: str, names: Sequence[str]) -> Problem:
    near = _variables.nearest(str(name), names)
    return Problem(
        where,
        "is not a source of the stack",
        "the stack has %s" % (", ".join(names) or "no sources"),
        "write %s" % near if near else "remove it",
    )
