# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a run whose secrets were restored."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._restored import message


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("failure",))

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _result, arguments = self.validate_argument_spec(
            argument_spec={"failure": {"type": "str", "required": True}}
        )
        hosts = {host: task_vars["hostvars"][host] for host in task_vars["ansible_play_hosts_all"]}
        text = message(arguments["failure"], hosts, task_vars["ansible_play_hosts"])
        return {"failed": True, "changed": False, "msg": text}
