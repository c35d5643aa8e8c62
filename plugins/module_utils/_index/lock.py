# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock files: requirement files with exact versions and hashes, and the index of each name.

A name that an index claims in ``packages`` comes only from that index; all other names come from
the one index that claims none. An installation asks each index only for its own names, so that a
private name is never looked up anywhere else.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical

REQUIREMENT = re.compile(
    r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?==(?P<version>[^\s;\\]+)"
)

# The git repositories whose files or wheels belong to a release, one comment per source. Versions may
# stay the same from commit to commit, so the commits are part of the id of the release.
SOURCE = re.compile(
    r"^# source: (?P<name>\S+) (?P<commit>[0-9a-f]{40,64}) (?P<install>[a-z,]+)$", re.MULTILINE
)


def entries(text: str) -> list[tuple[str, str, list[str]]]:
    """The requirements of a lock as (name, version, lines) triples. Comments are left out.

    :raises ValueError: for a requirement without an exact version or without a hash.
    """
    found: list[tuple[str, str, list[str]]] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace():
            if not found:
                raise ValueError("the lock file starts with a continuation line: %s" % line.strip())
            found[-1][2].append(line)
            continue
        match = REQUIREMENT.match(line)
        if not match:
            raise ValueError("not an exact version: %s" % line.strip())
        found.append((canonical(match["name"]), match["version"], [line]))
    for name, version, lines in found:
        if not any("--hash=" in line for line in lines):
            raise ValueError("%s==%s has no hash" % (name, version))
    return found


def short_hash(text: str) -> str:
    """Eight hexadecimal digits of the hash of a lock file without its comments, except for those on
    sources."""
    parts = ["\n".join(lines) for _name, _version, lines in entries(text)]
    body = "\n".join(parts + source_lines(sources(text)))
    return hashlib.sha256(body.encode()).hexdigest()[:8]


def sources(text: str) -> list[dict[str, Any]]:
    """The sources of a lock, each with ``name``, ``commit`` and ``install``."""
    return [
        dict(found.groupdict(), install=found["install"].split(","))
        for found in SOURCE.finditer(text)
    ]


def source_lines(wanted: Iterable[Mapping[str, Any]]) -> list[str]:
    """The comments of a lock for some sources."""
    return sorted(
        "# source: %s %s %s"
        % (source["name"], source["commit"], ",".join(sorted(set(source["install"]))))
        for source in wanted
    )


def claiming(name: str, indexes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The indexes that claim a name. A claim of the exact name has precedence over a pattern."""
    name = canonical(name)
    return [index for index in indexes if name in index["packages"]] or [
        index
        for index in indexes
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in index["packages"])
    ]


def index_of(name: str, indexes: list[dict[str, Any]]) -> Mapping[str, Any]:
    """The index that serves a name. A claim of the exact name has precedence over a pattern.

    :param indexes: normalised indexes.
    :raises ValueError: no index, or more than one, may serve the name.
    """
    claims = claiming(name, indexes) or [index for index in indexes if index["role"] == "primary"]
    if len(claims) == 1:
        return claims[0]
    if claims:
        raise ValueError(
            "%s could come from more than one index. Evidence: %s may serve it. Fix: let one of "
            "them claim it in packages" % (name, ", ".join(index["name"] for index in claims))
        )
    raise ValueError(
        "no index serves %s. Fix: add one without packages, or one that claims it" % name
    )


def by_index(text: str, indexes: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """The lock file split into one requirements text per index, in the order of the indexes."""
    texts: dict[str, list[str]] = {}
    for name, _version, lines in entries(text):
        texts.setdefault(index_of(name, indexes)["name"], []).extend(lines)
    return [
        (index, "\n".join(texts[index["name"]]) + "\n")
        for index in indexes
        if index["name"] in texts
    ]


def versions(text: str) -> dict[str, str]:
    """{name: version} of a lock. A name with several versions, for several Pythons, has all of
    them, with ``or`` between them."""
    found: dict[str, list[str]] = {}
    for name, version, _lines in entries(text):
        found.setdefault(name, []).append(version)
    return {name: " or ".join(several) for name, several in found.items()}
