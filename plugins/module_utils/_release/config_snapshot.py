# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration with which a release was proven healthy, kept beside the one in use, so that
there is a way back.

Per release a directory ``known_good/<id>`` beside supervisord.conf, with copies of it and of the
unit, of the same modes and owners. Secrets are not in these files, and are not kept: they belong to
the fleet and not to a release.
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


def place(files, release_id):
    """Directory of what is kept for a release; ``files`` are the paths in use, supervisord.conf
    first."""
    return os.path.join(os.path.dirname(files[0]), FOLDER, release_id)


def pairs(files, release_id):
    """(path in use, path of its copy) of each file."""
    folder = place(files, release_id)
    return [(path, os.path.join(folder, os.path.basename(path))) for path in files]


def has(files, release_id):
    return bool(release_id) and all(
        os.path.exists(copy) for _path, copy in pairs(files, release_id)
    )


def is_in_use(files, release_id):
    """Whether what is kept for a release is, to the byte, what is in use."""
    return has(files, release_id) and all(
        read(path) == read(copy) for path, copy in pairs(files, release_id)
    )


def keep(files, release_id):
    """Keep the files in use for a release.

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


def put_back(files, release_id):
    """Put what is kept for a release into its place.

    :raises OSError:
    """
    # supervisord.conf last: it is what a boot goes by (boot_rollback.sh), if this is cut off
    for path, copy in reversed(pairs(files, release_id)):
        if read(path) != read(copy):
            copy_file(copy, path)


def forget(files, release_id):
    shutil.rmtree(place(files, release_id), ignore_errors=True)
