# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of the instances that use a directory on the controller: ``instances.json`` in it.

The directory, and the index that they install from, are removed with the last instance.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import exclusive
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing

FILE = "instances.json"
# seconds to wait for another run, which locks the list for a moment
PATIENCE = 30


def user_name(instance: str, host: str, scope: str) -> str:
    """The name of an instance in a list of users."""
    return "%s@%s/%s" % (instance, host, scope)


def users_of(wanted: dict[str, Any], task_vars: dict[str, Any]) -> list[str]:
    """The instances on the hosts of a group. The instance of a host may differ from that of the
    task.

    :param wanted: the option ``users_of`` of the module config_files.
    """
    found = []
    for host in task_vars.get("groups", {}).get(wanted["group"], []):
        variables = task_vars["hostvars"][host]
        found.append(
            user_name(
                variables.get("swf_testbed_instance", wanted["instance"]),
                host,
                variables.get("swf_testbed_scope", wanted["scope"]),
            )
        )
    return found


def read(directory: str) -> dict[str, str] | None:
    """{user: address of the index that it installs from}; None if there is no list.

    :raises OSError, ValueError:
    """
    try:
        with open(os.path.join(directory, FILE), encoding="utf-8") as stream:
            found = json.load(stream)
    except FileNotFoundError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("instances"), dict):
        raise ValueError(
            "%s is not a list of instances. Evidence: it has no dict instances. Fix: move it away"
            % os.path.join(directory, FILE)
        )
    return found["instances"]


def change(directory: str, edit: Callable[[dict[str, str]], object]) -> None:
    """Change the list under a lock: the play works on several hosts at the same time.

    :param edit: a function that changes the dict it is given.
    :raises LockHeld, OSError, ValueError:
    """
    with exclusive(os.path.join(directory, "." + FILE + ".lock"), PATIENCE):
        found = read(directory) or {}
        before = dict(found)
        edit(found)
        if found != before:
            with replacing(os.path.join(directory, FILE)) as stream:
                json.dump({"format": 1, "instances": found}, stream, indent=1, sort_keys=True)


def register(directory: str, user: str, index: str, check_mode: bool) -> bool:
    """Add an instance to the list. True if that changes it."""
    if (read(directory) or {}).get(user) == index:
        return False
    if not check_mode:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        change(directory, lambda found: found.update({user: index}))
    return True


def unregister(directory: str, user: str) -> None:
    """Remove an instance from the list."""
    if user in (read(directory) or {}):
        change(directory, lambda found: found.pop(user, None))
