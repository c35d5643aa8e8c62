# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the directories of an instance can be created and written, and have free space."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    FATAL,
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    MAX_SOCKET_BYTES,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.writes import (
    free_mb,
    instance_problems,
    mount_of,
    problem,
    write_error,
)

UNUSABLE = re.compile(r"[\s'\"\\:]")


def nearest(path: str) -> str:
    """The closest directory above a path that exists."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def place_problems(places: Mapping[str, Any]) -> list[Finding]:
    """Findings for directories that cannot be created or written, and for a socket path that is too
    long."""
    found = instance_problems(places)
    for name in ("config_dir", "root", "state_dir"):
        above = nearest(places[name])
        error = None if above == places[name] else write_error(above)
        if error:
            found.append(problem(above, error, places[name]))
    paths = "".join(places[name] for name in ("config_dir", "root", "state_dir"))
    odd = sorted({*UNUSABLE.findall(paths)})
    if odd:
        # supervisord splits a command into words, scripts of an environment name their Python, and
        # PATH is split at colons
        found.append(
            finding(
                "place",
                "the programs cannot run from a directory with a space, a quote, a backslash or a "
                "colon in its path",
                "%s has %s" % (places["root"], " and ".join(map(repr, odd))),
                "Set XDG_CONFIG_HOME, XDG_DATA_HOME and XDG_STATE_HOME to directories without "
                "these characters, or use another login",
            )
        )
    length = len(os.fsencode(places["socket"]))
    if length > MAX_SOCKET_BYTES:
        found.append(
            finding(
                "socket",
                "the path of the socket is too long",
                "it has %d bytes, and the maximum is %d: %s"
                % (length, MAX_SOCKET_BYTES, places["socket"]),
                "Use a shorter XDG_STATE_HOME or swf_testbed_instance",
            )
        )
    return found


def space_problem(places: Mapping[str, Any], minimum: int) -> Finding | None:
    """A finding if there is too little space for a release, or None. A host that has a release
    passes."""
    above = nearest(places["root"])
    free = free_mb(above)
    if free >= minimum or os.path.isdir(os.path.join(places["root"], "releases")):
        return None
    return finding(
        "disk",
        "there is too little space for a release",
        "%d MB are free at %s and a release needs about %d" % (free, above, minimum),
        "Free some space, or set XDG_DATA_HOME to a directory on another disk",
    )


def full_disks(paths: Iterable[str], minimum: int) -> list[Finding]:
    """Findings for file systems that are full or nearly full, each once.

    :param minimum: free MB below which there is a warning. Below a tenth of it, programs are about
        to fail.
    """
    found, seen = [], set()
    for above in map(nearest, paths):
        device, usage = os.stat(above).st_dev, os.statvfs(above)
        if device in seen:
            continue
        seen.add(device)
        free = free_mb(above)
        fix = (
            "Find the largest directories: sudo du -xh --max-depth=2 %s | sort -h | tail"
            % mount_of(above)
        )
        if free < minimum:
            found.append(
                finding(
                    "disk",
                    "the disk is %s" % ("full" if free < minimum / 10 else "nearly full"),
                    "%d MB are free at %s" % (free, above),
                    fix,
                    FATAL if free < minimum / 10 else WARNING,
                )
            )
        # some file systems have no such limit, and report 0
        elif usage.f_files and usage.f_favail < 100:
            found.append(
                finding(
                    "disk",
                    "the file system has no free inodes for new files",
                    "%d inodes are free at %s" % (usage.f_favail, above),
                    "Find the directories that use them: sudo du -x --inodes --max-depth=2 %s | "
                    "sort -n | tail" % (mount_of(above)),
                )
            )
    return found
