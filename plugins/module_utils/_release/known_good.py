# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of files that are known good, until the files that replaced them are known good, too.

A snapshot is a directory that only its owner may enter: copies of the files, and ``files.json``,
which names them. It exists if and only if the files in use are not known good yet. That is why one
is never replaced: after a second change in a row they are not known good either.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import (
    copy_file,
    read,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.turn import FILES, turn

LIST = "files.json"


def save(
    folder: str, paths: Iterable[str], purged: Iterable[str] = (), records: Iterable[str] = ()
) -> None:
    """Save files, unless there is a snapshot already; it is complete or absent. In a turn of the
    caller.

    :param paths: files; one that does not exist is recorded as such.
    :param purged: directories that hold no other files.
    :param records: files about the files. They are restored with them, but are no reason to
        restore anything.
    :raises OSError:
    """
    if os.path.isdir(folder):
        return
    scratch = folder + ".new"
    shutil.rmtree(scratch, ignore_errors=True)
    os.mkdir(scratch, 0o700)
    copies: dict[str, str | None] = {}
    for number, path in enumerate(sorted({*paths, *records})):
        copies[path] = None
        if os.path.isfile(path):
            copies[path] = str(number)
            copy_file(path, os.path.join(scratch, str(number)))
    with open(os.path.join(scratch, LIST), "w", encoding="utf-8") as stream:
        json.dump(
            {
                "files": {path: copies[path] for path in paths},
                "records": {path: copies[path] for path in records},
                "purged": list(purged),
            },
            stream,
        )
        stream.flush()
        os.fsync(stream.fileno())
    os.rename(scratch, folder)


def listed(folder: str) -> tuple[dict[str, str | None], list[str]]:
    """(the files of a snapshot as {path: its copy or None}, directories that hold no other files);
    both empty after a first installation."""
    found = content(folder)
    copies = in_folder(folder, found["files"])
    return (copies, found["purged"]) if any(copies.values()) else ({}, [])


def content(folder: str) -> dict[str, Any]:
    text = read(os.path.join(folder, LIST))
    # one of an earlier version has no records
    return dict({"files": {}, "records": {}, "purged": []}, **(json.loads(text) if text else {}))


def in_folder(folder: str, names: Mapping[str, str | None]) -> dict[str, str | None]:
    return {path: name and os.path.join(folder, name) for path, name in names.items()}


def restorable(folder: str) -> bool:
    """Whether a snapshot has anything to restore."""
    return bool(listed(folder)[0])


def different(folder: str) -> dict[str, str | None]:
    """{path: its copy, or None for a file to remove} of the files that differ from the snapshot."""
    copies, purged = listed(folder)
    for place in purged:
        if os.path.isdir(place):
            others = (os.path.join(place, name) for name in sorted(os.listdir(place)))
            copies.update(
                {path: None for path in others if path not in copies and os.path.isfile(path)}
            )
    return {path: copy for path, copy in copies.items() if read(path) != (copy and read(copy))}


def restore(folder: str) -> list[str]:
    """Restore the files; returns the paths of those that differed. The snapshot stays until they
    are known good again.

    :raises OSError:
    """
    with turn(FILES):
        found = different(folder)
        records = in_folder(folder, content(folder)["records"]) if found else {}
        for path, copy in {**found, **records}.items():
            if copy:
                copy_file(copy, path)
            elif os.path.lexists(path):
                os.unlink(path)
        return sorted(found)


def drop(folder: str) -> bool:
    """Remove a snapshot; returns whether there was one. An interrupted removal leaves none, since it
    has another name by then."""
    if not os.path.isdir(folder):
        return False
    with turn(FILES):
        if not os.path.isdir(folder):
            # another run has dropped it in the meantime
            return False
        scratch = folder + ".new"
        shutil.rmtree(scratch, ignore_errors=True)
        os.rename(folder, scratch)
        shutil.rmtree(scratch)
        return True
