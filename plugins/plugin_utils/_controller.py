# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs this: the controller as hosts know it."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
import time
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._run import claimed_by, run_id


def login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # a container's user without an account
        return str(os.getuid())


def here(directory: str) -> dict[str, str]:
    """The controller: its name, the login, and the directory with its secrets.

    :param directory: swf_testbed_controller_dir.
    """
    return {
        "controller": platform.node() or "localhost",
        "login": login(),
        "directory": os.path.realpath(directory),
    }


def lease(instance: str, scope: str, directory: str, break_lock: bool) -> dict[str, Any]:
    """What a host that is held by this run knows of it; module_utils/_host/lease.py reads it."""
    known = here(directory)
    owner = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]
    return dict(
        known,
        owner=owner,
        run=run_id(),
        started=started(),
        instance=instance,
        scope=scope,
        **{"break": break_lock},
    )


def started() -> float:
    """When this run began to hold hosts, in seconds since 1970: the same for all of its
    processes."""
    return float(claimed_by("the start of the run", repr(time.time())))
