# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to a release after it was built, detected by names, sizes and times.

Detected: packages that were added, removed or changed to another version; files of packages that
are missing, have another size or mode, or were written after the release was built and have other
content (by the hash in the package's RECORD); new modules and C(.pth) files next to the packages; the same
for the source trees, and files that were added to them. Not detected: content of the same size under
a time that was set back, compiled bytecode, and files that were added inside of a package.
"""

from __future__ import annotations

import base64
import csv
import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.names import canonical
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import trees
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    MANIFEST,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.executables import Modes

INFO = re.compile(r"^(?P<name>.+)-(?P<version>[^-]+)\.dist-info$")
# files that an installer or Python itself puts next to the packages
EXPECTED = re.compile(r"^(__pycache__|_virtualenv\.(py|pth)|distutils-precedence\.pth)$")


def differences(path: str, manifest: Mapping[str, Any]) -> list[str]:
    """The changes, as lines."""
    folders = glob.glob(os.path.join(glob.escape(path), "lib", "python*", "site-packages"))
    if not folders:
        return ["it has no packages any more"]
    folder = folders[0]
    there = {}
    for name in os.listdir(folder):
        match = INFO.match(name)
        if match:
            there[canonical(match["name"])] = (match["version"], name)
    return [
        *packages(there, manifest["packages"]),
        *files(path, folder, [info for _version, info in sorted(there.values())]),
        *(source_files(path) if manifest.get("sources") else ()),
    ]


def packages(there: Mapping[str, tuple[str, str]], built: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*there, *built}):
        now, then = there[name][0] if name in there else None, built.get(name)
        # a directory's name has another spelling of some versions than the metadata (1.0.post1 and
        # 1.0-1)
        if now is None:
            yield "the package %s %s is gone" % (name, then)
        elif then is None:
            yield "the package %s %s was added" % (name, now)
        elif re.split(r"[^0-9a-z]+", now.lower()) != re.split(r"[^0-9a-z]+", then.lower()):
            yield "the package %s is %s, and was %s" % (name, now, then)


def files(path: str, folder: str, infos: Iterable[str]) -> Iterator[str]:
    built_at = os.stat(os.path.join(path, MANIFEST)).st_mtime_ns
    modes = Modes(path)
    tops = set(infos)
    for info in infos:
        try:
            with open(os.path.join(folder, info, "RECORD"), encoding="utf-8", newline="") as stream:
                rows = list(csv.reader(stream))
        except OSError:
            yield "%s has no RECORD, so its files cannot be checked" % info
            continue
        for name, digest, size in (row[:3] for row in rows if len(row) >= 3):
            tops.add(name.split("/")[0])
            if not name.endswith(".pyc"):
                wrong = difference(os.path.join(folder, name), digest, size, built_at, modes)
                if wrong:
                    yield "%s %s" % (os.path.normpath(os.path.join(folder, name)), wrong)
    for name in sorted(set(os.listdir(folder)) - tops):
        if not EXPECTED.match(name):
            yield "%s was added" % os.path.join(folder, name)


def source_files(path: str) -> Iterator[str]:
    """The changes of the source trees."""
    built_at = os.stat(os.path.join(path, MANIFEST)).st_mtime_ns
    modes, top = Modes(path), os.path.join(path, trees.FOLDER)
    try:
        rows = trees.listed(path)
    except OSError:
        yield "%s is gone, so the source trees cannot be checked" % os.path.join(path, trees.LIST)
        return
    there = set(trees.names(top))
    for name, digest, size in rows:
        file = os.path.join(top, name)
        if digest.startswith(trees.LINK):
            same = os.path.islink(file) and trees.LINK + os.readlink(file) == digest
            wrong = None if same else "leads elsewhere" if name in there else "is gone"
        else:
            wrong = difference(file, digest, size, built_at, modes)
        if wrong:
            yield "%s %s" % (file, wrong)
    for name in sorted(there - {row[0] for row in rows}):
        yield "%s was added" % os.path.join(top, name)


def difference(path: str, digest: str, size: str, built_at: int, modes: Modes) -> str | None:
    try:
        status = os.stat(path)
    except OSError:
        return "is gone"
    if size and status.st_size != int(size):
        return "has %d bytes, and had %s" % (status.st_size, size)
    if status.st_mtime_ns > built_at and digest.startswith("sha256="):
        with open(path, "rb") as stream:
            found = (
                base64.urlsafe_b64encode(hashlib.sha256(stream.read()).digest())
                .rstrip(b"=")
                .decode()
            )
        if found != digest[len("sha256=") :]:
            return "was changed after the release was built"
    return modes.difference(path, status.st_mode)
