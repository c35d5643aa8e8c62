# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of the controller, as hosts record it."""

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
        # the user of a container, without an account
        return str(os.getuid())


def here(directory: str) -> dict[str, str]:
    """The controller: its name, the login, and the directory of its secrets.

    :param directory: swf_testbed_controller_dir.
    """
    return {
        "controller": platform.node() or "localhost",
        "login": login(),
        "directory": os.path.realpath(directory),
    }


def lease(instance: str, scope: str, directory: str, break_lock: bool) -> dict[str, Any]:
    """The lease of this run on a host; module_utils/_host/lease.py reads it."""
    identity = here(directory)
    owner = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return dict(
        identity,
        owner=owner,
        run=run_id(),
        started=started(),
        instance=instance,
        scope=scope,
        **{"break": break_lock},
    )


def started() -> float:
    """When this run began to hold hosts, in seconds since 1970: equal in all its processes."""
    return float(claimed_by("the start of the run", repr(time.time())))
