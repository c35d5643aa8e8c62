# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of an instance: the active one, the previous one, those in use, and those that can be
removed.

``current`` and ``previous`` are links into ``releases``. Programs do not use them: they are
configured with the directory of their release, so that a link can change while they run.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import shutil
from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import config_snapshot
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    MANIFEST,
    active,
    link_target,
    manifest,
)

CURRENT, PREVIOUS = "current", "previous"


class ReleaseError(Exception):
    """A request is refused, because a release is in use or missing; the text says why, and the
    fix."""


def previous(root: str) -> str | None:
    """The id of the release that was active before the active one, or None."""
    return link_target(root, PREVIOUS)


def named_by(conf: str) -> tuple[str | None, str | None]:
    """(id of the release, name of the tools) that a supervisord.conf names; None for what it does
    not name."""
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(" ;",))
    try:
        parser.read(conf, encoding="utf-8")
        release = parser.get("swf-testbed", "release", fallback=None)
        supervisord = parser.get("swf-testbed", "supervisord", fallback=None)
    except (configparser.Error, OSError, UnicodeDecodeError):
        return None, None
    tools = os.path.dirname(os.path.dirname(supervisord)) if supervisord else None
    return release and os.path.basename(release), tools and os.path.basename(tools)


def releases_in_use(root: str, files: list[str]) -> set[str]:
    """Ids of the releases in use: the active one, the previous one, and the one that the
    configuration names."""
    named = {named_by(files[0])[0]} if files else set()
    return {name for name in named | {active(root), previous(root)} if name}


def tools_in_use(root: str, files: list[str], releases: Iterable[str] | None = None) -> set[str]:
    """Names of the tools that supervisord runs from, now or after a rollback to one of these
    releases (all by default)."""
    if not files:
        return set()
    names = existing(root, "releases") if releases is None else releases
    copies = [config_snapshot.pairs(files, name)[0][1] for name in names]
    return {tools for _release, tools in map(named_by, [files[0], *copies]) if tools}


def existing(root: str, folder: str) -> list[str]:
    """Names of the releases, or of the tools, of an instance."""
    try:
        return sorted(
            entry.name
            for entry in os.scandir(os.path.join(root, folder))
            if entry.is_dir(follow_symlinks=False)
        )
    except OSError:
        return []


def place_for(
    root: str, part: str, name: str, in_use: set[str], fits: Callable[[dict[str, Any]], bool]
) -> tuple[str, dict[str, Any] | None]:
    """Where an environment is, or is to be built; (path, manifest or None).

    One that is in use and damaged, or that was built with another Python, is not changed: the new
    one is built next to it, under its name with a number appended.

    :param part: ``releases`` or ``tools``.
    :param fits: whether a manifest is of a suitable environment.
    """
    folder = os.path.join(root, part)
    names = [name] + [
        "%s.%d" % (name, number) for number in range(2, len(existing(root, part)) + 3)
    ]
    usable = [
        (other, found)
        for other, found in ((other, manifest(os.path.join(folder, other))) for other in names)
        if found and fits(found)
    ]
    # of several, the one in use
    usable.sort(key=lambda pair: pair[0] not in in_use)
    if usable:
        return os.path.join(folder, usable[0][0]), usable[0][1]
    return os.path.join(folder, next(other for other in names if other not in in_use)), None


def activate(root: str, release_id: str) -> None:
    """Let ``current`` name the release, by one atomic rename, and ``previous`` the one that it
    named.

    :raises ReleaseError: the release is missing or incomplete.
    """
    if manifest(os.path.join(root, "releases", release_id)) is None:
        raise ReleaseError(
            "The release %s cannot be activated. Evidence: there is no complete release of that "
            "name in %s/releases. Fix: build it first" % (release_id, root)
        )
    before = active(root)
    if before and before != release_id:
        link(root, PREVIOUS, before)
    link(root, CURRENT, release_id)


def link(root: str, name: str, release_id: str) -> None:
    scratch = os.path.join(root, ".%s.new" % name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(scratch)
    os.symlink(os.path.join("releases", release_id), scratch)
    os.replace(scratch, os.path.join(root, name))


def surplus(root: str, keep: int, files: list[str]) -> list[str]:
    """Paths to remove: all releases except the newest ``keep``, incomplete ones, and unused tools.

    Releases in use are never among them.
    """
    stay = releases_in_use(root, files)
    for name in newest_first(root, "releases"):
        if len(stay) < keep:
            stay.add(name)
    gone = [
        os.path.join(root, "releases", name)
        for name in existing(root, "releases")
        if name not in stay
    ]
    if files:
        wanted = tools_in_use(root, files, stay) | set(newest_first(root, "tools")[:1])
        gone += [
            os.path.join(root, "tools", name)
            for name in existing(root, "tools")
            if name not in wanted
        ]
    return gone


def newest_first(root: str, part: str) -> list[str]:
    """Names of the complete releases, or tools."""
    found = {name: manifest(os.path.join(root, part, name)) for name in existing(root, part)}
    built = {name: content["built_at"] for name, content in found.items() if content}
    return sorted(built, key=lambda name: built[name], reverse=True)


def remove(paths: Iterable[str], files: list[str]) -> None:
    """Remove releases and tools, with their saved configuration.

    The manifest is removed first: an interrupted run then leaves no release that looks complete.
    """
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(path, MANIFEST))
        shutil.rmtree(path)
        if files and os.path.basename(os.path.dirname(path)) == "releases":
            config_snapshot.remove(files, os.path.basename(path))
