# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""All hosts of the play, and those that --limit excludes, for an action that runs once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

GROUPS = ("index", "database", "broker", "redis", "monitor", "agents", "testbed")


def variables_of_hosts(
    task: Any, task_vars: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (name, variables for a task on it) of all hosts of the play."""
    manager = task.get_variable_manager()
    for host in task_vars["ansible_play_hosts_all"]:
        if host == task_vars["inventory_hostname"]:
            yield host, task_vars
        else:
            yield (
                host,
                manager.get_vars(
                    play=task.get_play(), host=manager._inventory.get_host(host), task=task
                ),
            )


def others(task: Any, task_vars: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (name, variables) of the hosts in groups of the collection that are not in the play."""
    manager, groups = task.get_variable_manager(), task_vars.get("groups") or {}
    names = {name for group in GROUPS for name in groups.get(group) or ()}
    for host in sorted(names - set(task_vars["ansible_play_hosts_all"])):
        yield (
            host,
            manager.get_vars(
                play=task.get_play(), host=manager._inventory.get_host(host), task=task
            ),
        )
