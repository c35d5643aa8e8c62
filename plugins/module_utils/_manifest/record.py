# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists items in a manifest before they are created, so that an interrupted run can be removed,
too."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    layout,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.turn import MANIFEST, turn
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import listing
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.checks import (
    contains,
    mount_points,
    protected,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.found import entries_of

# the option of the modules that create items; doc_fragments/manifest.py describes it
ARGUMENT = {
    "manifest": {
        "type": "dict",
        "options": {
            "instance": {"type": "str"},
            "scope": {"type": "str", "choices": ["user", "system"], "default": "user"},
            "service": {"type": "str"},
            "role": {"type": "str"},
            "entries": {"type": "list", "elements": "dict", "default": []},
            "users": {"type": "list", "elements": "str", "default": []},
            "collection": {"type": "str"},
        },
    }
}


def record(options: dict[str, Any] | None, entries: list[dict[str, Any]], check_mode: bool) -> bool:
    """List items that are about to be created, or that an earlier run created. True if the manifest
    changes.

    Existing items that no manifest lists belong to others, and are not listed. The exception is an
    installation that is older than its manifest: :func:`entries_of` an instance, and the entries
    that the role of a service passes, are listed.

    :param options: the option ``manifest`` of a module; None if there is no manifest.
    :raises ManifestError, InstanceNameError, OSError:
    """
    if not options:
        return False
    if check_mode:
        return _record(options, entries, check_mode)
    # two simultaneous runs would each write it without the entries of the other one
    with turn(MANIFEST):
        return _record(options, entries, check_mode)


def _record(options: dict[str, Any], entries: list[dict[str, Any]], check_mode: bool) -> bool:
    subject = listing.subject_of(options)
    path = listing.path_of(subject)
    before = listing.read(path, subject)
    found = before or dict(subject, format=listing.FORMAT, collection=None, entries=[], users=[])
    if before is None and "instance" in subject:
        places = layout(subject["instance"], subject["scope"], environment_of_login())
        found["entries"] = entries_of(places)
        if not os.path.lexists(places["config_dir"]):
            # writing the manifest creates it
            found["entries"].append(listing.entry("directory", places["config_dir"], "empty"))
    listed = {listing.key(item): item for item in found["entries"]}
    passed = options.get("entries") or []
    for item in passed:
        if listing.shape_problem(item):
            raise listing.ManifestError(
                "%r cannot be listed in a manifest. Evidence: %s. Fix: correct the entry"
                % (item, listing.shape_problem(item))
            )
    shared, mounts = protected(environment_of_login()), mount_points()
    new = [
        item
        for item in entries + passed
        if listing.key(item) in listed
        or is_new(item, shared, mounts)
        or ("service" in subject and item in passed)
    ]
    folders = [
        item["path"]
        for item in found["entries"] + new
        if item["kind"] == "directory" and item["uninstall"] in ("always", "data")
    ]
    new = [
        completed(item, listed.get(listing.key(item), options).get("role"))
        for item in new
        if not covered(item, folders)
    ]
    after = listing.merged(found, new, options.get("users") or [])
    after["collection"] = options.get("collection") or found.get("collection")
    if after == before:
        return False
    if not check_mode:
        listing.write(path, after)
    return True


def is_new(item: dict[str, Any], shared: set[str], mounts: set[str]) -> bool:
    """Whether the run is about to create it. An empty file system that was mounted for the instance
    counts as new."""
    if item["kind"] not in listing.PATHS or item["kind"] == "lines":
        return True
    path = item["path"]
    if any(contains(path, other) for other in shared):
        return False
    return not os.path.lexists(path) or (
        path in mounts and item["kind"] == "directory" and not os.listdir(path)
    )


def covered(item: dict[str, Any], folders: list[str]) -> bool:
    """Whether the path is removed with a listed directory."""
    return item["kind"] in ("file", "link", "directory") and any(
        item["path"].startswith(folder + "/") for folder in folders
    )


def completed(item: dict[str, Any], role: str | None) -> dict[str, Any]:
    """The entry with the role that listed it first, and its real directory if a link leads there."""
    item = dict(item, **{"role": role} if role else {})
    if item["kind"] in listing.PATHS:
        real = os.path.realpath(os.path.dirname(item["path"]))
        if real != os.path.dirname(item["path"]):
            item["real"] = real
    return item
