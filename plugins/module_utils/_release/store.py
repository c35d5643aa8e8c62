# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of an instance: which is active, which was before it, which are in use, and which
may go.

``current`` and ``previous`` are links into ``releases``. Nothing that runs goes through them:
programs are configured with the directory of their release, so that a link can change while they
run.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import shutil

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    config_snapshot as kept,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    MANIFEST,
    active,
    link_target,
    manifest,
)

CURRENT, PREVIOUS = "current", "previous"


def previous(root):
    """The id of the release that was active before the one that is, or None."""
    return link_target(root, PREVIOUS)


def named_by(conf):
    """(id of the release, name of the tools) that a supervisord.conf is for; None for what it does
    not say."""
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(" ;",))
    try:
        parser.read(conf, encoding="utf-8")
        release = parser.get("swf-testbed", "release", fallback=None)
        supervisord = parser.get("swf-testbed", "supervisord", fallback=None)
    except (configparser.Error, OSError, UnicodeDecodeError):
        return None, None
    tools = os.path.dirname(os.path.dirname(supervisord)) if supervisord else None
    return release and os.path.basename(release), tools and os.path.basename(tools)


def releases_in_use(root, files):
    """Ids of the releases that must stay: the active one, the one before it, and the one that the
    configuration names."""
    named = {named_by(files[0])[0]} if files else set()
    return (named | {active(root), previous(root)}) - {None}


def tools_in_use(root, files, releases=None):
    """Names of the tools that supervisord runs from, now or after a rollback to one of these
    releases (all by default)."""
    if not files:
        return set()
    names = existing(root, "releases") if releases is None else releases
    copies = [os.path.join(kept.place(files, name), os.path.basename(files[0])) for name in names]
    return {named_by(conf)[1] for conf in [files[0], *copies]} - {None}


def existing(root, kind):
    try:
        return sorted(
            entry.name
            for entry in os.scandir(os.path.join(root, kind))
            if entry.is_dir(follow_symlinks=False)
        )
    except OSError:
        return []


def place_for(root, kind, name, in_use, fits):
    """Where an environment is, or is to be built; (path, manifest or None).

    One that is in use and broken, or that was built with another Python, is not touched: the new
    one goes beside it, under its name with a number behind it.

    :param fits: tells whether a manifest is of an environment as it is wanted.
    """
    folder = os.path.join(root, kind)
    names = [name] + [
        "%s.%d" % (name, number) for number in range(2, len(existing(root, kind)) + 3)
    ]
    usable = [
        (other, found)
        for other, found in ((other, manifest(os.path.join(folder, other))) for other in names)
        if found and fits(found)
    ]
    # of several, the one that runs
    usable.sort(key=lambda pair: pair[0] not in in_use)
    if usable:
        return os.path.join(folder, usable[0][0]), usable[0][1]
    return os.path.join(folder, next(other for other in names if other not in in_use)), None


def activate(root, release_id):
    """Let ``current`` name the release, by one atomic rename, and ``previous`` the one that it
    named.

    :raises InstallError: when the release is not there or not complete.
    """
    if manifest(os.path.join(root, "releases", release_id)) is None:
        raise InstallError(
            "activate %s" % release_id,
            "there is no complete release of that name in %s/releases" % root,
        )
    before = active(root)
    if before and before != release_id:
        link(root, PREVIOUS, before)
    link(root, CURRENT, release_id)


def link(root, name, release_id):
    scratch = os.path.join(root, ".%s.new" % name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(scratch)
    os.symlink(os.path.join("releases", release_id), scratch)
    os.replace(scratch, os.path.join(root, name))


def surplus(root, keep, files):
    """Paths that a clean-up removes: releases beyond the newest ``keep``, half-built ones, and
    tools that nothing names.

    What is active, was active before, or is configured is never among them.
    """
    in_use = releases_in_use(root, files)
    built = {
        name: manifest(os.path.join(root, "releases", name)) for name in existing(root, "releases")
    }
    whole = sorted(
        (name for name in built if built[name]),
        key=lambda name: built[name]["built_at"],
        reverse=True,
    )
    stay = set(in_use)
    for name in whole:
        if len(stay) < keep:
            stay.add(name)
    gone = [os.path.join(root, "releases", name) for name in built if name not in stay]
    if files:
        tools = {
            name: manifest(os.path.join(root, "tools", name)) for name in existing(root, "tools")
        }
        newest = sorted(
            (name for name in tools if tools[name]), key=lambda name: tools[name]["built_at"]
        )[-1:]
        wanted = tools_in_use(root, files, stay) | set(newest)
        gone += [os.path.join(root, "tools", name) for name in tools if name not in wanted]
    return gone


def remove(paths, files):
    """Remove releases and tools, with the configuration that was kept for them.

    The manifest goes first: what a run that is cut off leaves of a release is then no release.
    """
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(path, MANIFEST))
        shutil.rmtree(path)
        if files and os.path.basename(os.path.dirname(path)) == "releases":
            kept.forget(files, os.path.basename(path))
