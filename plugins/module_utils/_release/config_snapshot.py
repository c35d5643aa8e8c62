# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration with which a release was healthy, saved for a rollback.

Each release has a directory ``known_good/<id>`` next to supervisord.conf, with copies of it, of the
unit and of the files of the stack, of the same modes and owners. Secrets are not in these files: they
belong to all hosts and not to a release.

The files of the stack, and the launcher, are next to supervisord.conf. Another release may have others of
them, or none.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import (
    copy_file,
    read,
)

FOLDER = "known_good"
#: the probes of the release, and its steps for a rollback, as the role testbed writes them
HEALTH = "health.json"
HEALTH_KEYS = {"url", "start_url", "probes", "components"}


def place(files: list[str], release_id: str) -> str:
    """Directory of the copies of a release; ``files`` are the paths in use, supervisord.conf
    first."""
    return os.path.join(os.path.dirname(files[0]), FOLDER, release_id)


def pairs(files: list[str], release_id: str) -> list[tuple[str, str]]:
    """(path in use, path of its copy) of each file, and of each other file of the stack of the
    release."""
    folder, config_dir = place(files, release_id), os.path.dirname(files[0])
    saved = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    named = {os.path.basename(path) for path in files}
    others = [
        os.path.join(config_dir, name)
        for name in saved
        # neither the unit of a release that had one nor the remainder of an interrupted copy
        if name not in named and not name.endswith(".service") and not name.startswith(".")
    ]
    return [(path, os.path.join(folder, os.path.basename(path))) for path in files + others]


def has(files: list[str], release_id: str | None) -> bool:
    """Whether the configuration of a release is saved: at least supervisord.conf, and the unit if
    there is one."""
    return release_id is not None and all(
        os.path.exists(copy)
        for path, copy in pairs(files, release_id)
        if not is_of_stack(files, path)
    )


def is_of_stack(files: list[str], path: str) -> bool:
    """Whether a file is neither supervisord.conf nor the unit: not every release has it."""
    return path != files[0] and os.path.dirname(path) == os.path.dirname(files[0])


def health(files: list[str], release_id: str) -> dict[str, Any] | None:
    """How a release shows that it does its work, or None if that was not saved, or not completely:
    a rollback must go on without it."""
    text = (read(os.path.join(place(files, release_id), HEALTH)) or b"").decode("utf-8", "replace")
    # releases of an earlier version begin with a comment line
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    try:
        found = json.loads("\n".join(lines))
    except ValueError:
        return None
    return found if isinstance(found, dict) and HEALTH_KEYS <= set(found) else None


def is_in_use(files: list[str], release_id: str | None) -> bool:
    """Whether the files in use are identical to the copies of a release."""
    return (
        release_id is not None
        and has(files, release_id)
        and all(read(path) == read(copy) for path, copy in pairs(files, release_id))
    )


def save(files: list[str], release_id: str) -> None:
    """Save the files in use for a release, and remove those that only other stacks have.

    :raises OSError:
    """
    top = os.path.dirname(place(files, release_id))
    mode = stat.S_IMODE(os.stat(os.path.dirname(files[0])).st_mode)
    for folder in (top, place(files, release_id)):
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o700)
            os.chmod(folder, mode)
    for other in os.listdir(top):
        for path, _copy in pairs(files, other):
            if path not in files:
                remove_file(path)
    for path, copy in pairs(files, release_id):
        if path not in files or (is_of_stack(files, path) and not os.path.exists(path)):
            # the stack no longer has it, or this host
            remove_file(copy)
        elif read(path) != read(copy):
            copy_file(path, copy)


def restore(files: list[str], release_id: str) -> None:
    """Restore the files of a release.

    :raises OSError:
    """
    # supervisord.conf last: boot_rollback.sh reads it, should this be interrupted
    for path, copy in reversed(pairs(files, release_id)):
        if not os.path.exists(copy):
            # a file of the stack that this release did not have
            remove_file(path)
        elif read(path) != read(copy):
            copy_file(copy, path)


def remove_file(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def remove(files: list[str], release_id: str) -> None:
    shutil.rmtree(place(files, release_id), ignore_errors=True)
