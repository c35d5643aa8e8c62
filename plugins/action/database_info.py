# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of database_info: compares the database with the former ones, which may be
those of other hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._history import refusal
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._named_values import (
    ActionWithNames,
)

#: for a testbed whose monitor was on a host that is not in this run
ELSEWHERE = {
    "another host": {
        "address": "the database",
        "why": "no host of this run has had the monitor that the agents report to",
    }
}


class ActionModule(ActionWithNames):
    NAMED = ("password",)

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        former = self._task.args.get("former")
        if former and not result.get("failed") and "rows" in result:
            why = refusal(formers(former, task_vars or {}) or ELSEWHERE, result)
            if why:
                result.update(failed=True, msg=why)
        return result


def formers(variable: str, task_vars: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{host: what it registered} for the hosts of the play with the same instance."""
    instance = task_vars["swf_testbed_instance"]
    found: dict[str, dict[str, Any]] = {}
    for host in task_vars["ansible_play_hosts_all"]:
        variables = task_vars["hostvars"][host]
        if variables.get("swf_testbed_instance", instance) != instance:
            continue
        answer = variables.get(variable) or {}
        if "address" in answer:
            found[host] = answer
    return found
