# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a run in which a host is missing. any_errors_fatal of Ansible can neither permit missing
agents nor report a fix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible import constants, context
from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._missing import (
    may_be_missing,
    message,
    without,
)


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("max_unreachable", "failure"))

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _result, arguments = self.validate_argument_spec(
            argument_spec={
                "max_unreachable": {"type": "int", "default": 0},
                "failure": {"type": "str", "default": ""},
            }
        )
        if arguments["failure"]:
            command = self._without([task_vars["inventory_hostname"]])
            text = "%s\nTo continue without this host: %s" % (arguments["failure"], command)
            return {"failed": True, "changed": False, "msg": text}
        present = set(task_vars["ansible_play_hosts"])
        missing = {
            host: task_vars["hostvars"][host]
            for host in task_vars["ansible_play_hosts_all"]
            if host not in present
        }
        if len(missing) <= arguments["max_unreachable"] and all(
            map(may_be_missing, missing.values())
        ):
            return {"changed": False, "hosts": list(missing)}
        return {
            "failed": True,
            "changed": False,
            "msg": message(missing, arguments["max_unreachable"], self._without(missing)),
        }

    @staticmethod
    def _without(hosts: Iterable[str]) -> str:
        return without(hosts, context.CLIARGS, constants.DEFAULT_HOST_LIST or ())
