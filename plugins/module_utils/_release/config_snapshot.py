# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration with which a release was healthy, saved for a rollback.

Each release has a directory ``known_good/<id>`` next to supervisord.conf, with copies of it and of
the unit, of the same modes and owners. Secrets are not in these files: they belong to all hosts and
not to a release.
"""

from __future__ import annotations

import os
import shutil
import stat

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import (
    copy_file,
    read,
)

FOLDER = "known_good"


def place(files: list[str], release_id: str) -> str:
    """Directory of the copies of a release; ``files`` are the paths in use, supervisord.conf
    first."""
    return os.path.join(os.path.dirname(files[0]), FOLDER, release_id)


def pairs(files: list[str], release_id: str) -> list[tuple[str, str]]:
    """(path in use, path of its copy) of each file."""
    folder = place(files, release_id)
    return [(path, os.path.join(folder, os.path.basename(path))) for path in files]


def has(files: list[str], release_id: str | None) -> bool:
    """Whether the configuration of a release is saved."""
    return release_id is not None and all(
        os.path.exists(copy) for _path, copy in pairs(files, release_id)
    )


def is_in_use(files: list[str], release_id: str | None) -> bool:
    """Whether the files in use are identical to the copies of a release."""
    return (
        release_id is not None
        and has(files, release_id)
        and all(read(path) == read(copy) for path, copy in pairs(files, release_id))
    )


def save(files: list[str], release_id: str) -> None:
    """Save the files in use for a release.

    :raises OSError:
    """
    top = os.path.dirname(place(files, release_id))
    mode = stat.S_IMODE(os.stat(os.path.dirname(files[0])).st_mode)
    for folder in (top, place(files, release_id)):
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o700)
            os.chmod(folder, mode)
    for path, copy in pairs(files, release_id):
        if read(path) != read(copy):
            copy_file(path, copy)


def restore(files: list[str], release_id: str) -> None:
    """Restore the files of a release.

    :raises OSError:
    """
    # supervisord.conf last: boot_rollback.sh reads it, should this be interrupted
    for path, copy in reversed(pairs(files, release_id)):
        if read(path) != read(copy):
            copy_file(copy, path)


def remove(files: list[str], release_id: str) -> None:
    shutil.rmtree(place(files, release_id), ignore_errors=True)
