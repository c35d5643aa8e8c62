# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as they were when all was proven healthy, for as long as what replaced them is not.

A snapshot is a directory for its owner alone: copies of the files, and ``files.json``, which names
them. It is there if and only if the files in use are not proven yet. That is why one is never
replaced: a second change in a row is not proven either.
"""

from __future__ import annotations

import json
import os
import shutil

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import (
    copy_file,
    read,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.turn import FILES, turn

LIST = "files.json"


def keep(folder, paths, purged=(), records=()):
    """Keep files as they are, unless there is a snapshot already; it is there as a whole or not at
    all. In a turn of the caller.

    :param paths: files; one that does not exist is noted as such.
    :param purged: directories in which there is nothing else.
    :param records: what is noted of the files. It is restored with them, and no reason to restore
        anything.
    :raises OSError:
    """
    if os.path.isdir(folder):
        return
    scratch = folder + ".new"
    shutil.rmtree(scratch, ignore_errors=True)
    os.mkdir(scratch, 0o700)
    copies = {}
    for number, path in enumerate(sorted({*paths, *records})):
        there = os.path.isfile(path)
        copies[path] = str(number) if there else None
        if there:
            copy_file(path, os.path.join(scratch, copies[path]))
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


def listed(folder):
    """(the files of a snapshot as {path: its copy or None}, directories with nothing else); nothing
    of a first installation."""
    found = content(folder)
    copies = in_folder(folder, found["files"])
    return (copies, found["purged"]) if any(copies.values()) else ({}, [])


def content(folder):
    text = read(os.path.join(folder, LIST))
    # one of an earlier version has no records
    return dict({"files": {}, "records": {}, "purged": []}, **(json.loads(text) if text else {}))


def in_folder(folder, names):
    return {path: name and os.path.join(folder, name) for path, name in names.items()}


def restorable(folder):
    """Whether a snapshot has anything to restore."""
    return bool(listed(folder)[0])


def different(folder):
    """{path: its copy, or None for a file that is to go} of the files that are not as the snapshot
    has them."""
    copies, purged = listed(folder)
    for place in purged:
        if os.path.isdir(place):
            others = (os.path.join(place, name) for name in sorted(os.listdir(place)))
            copies.update(
                {path: None for path in others if path not in copies and os.path.isfile(path)}
            )
    return {path: copy for path, copy in copies.items() if read(path) != (copy and read(copy))}


def put_back(folder):
    """Put the files back; returns the paths that were not as they had been. The snapshot stays
    until they are proven again.

    :raises OSError:
    """
    with turn(FILES):
        return _put_back(folder)


def _put_back(folder):
    found = different(folder)
    records = in_folder(folder, content(folder)["records"]) if found else {}
    for path, copy in {**found, **records}.items():
        if copy:
            copy_file(copy, path)
        elif os.path.lexists(path):
            os.unlink(path)
    return sorted(found)


def drop(folder):
    """Remove a snapshot; whether there was one. An interrupted removal leaves none, since it has
    another name by then."""
    if not os.path.isdir(folder):
        return False
    with turn(FILES):
        if not os.path.isdir(folder):
            # another run has dropped it meanwhile
            return False
        scratch = folder + ".new"
        shutil.rmtree(scratch, ignore_errors=True)
        os.rename(folder, scratch)
        shutil.rmtree(scratch)
        return True
