# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller part of instance: shows the items before the module removes them, and maintains the list
of the instances."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import LockHeld
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _registry

MODULE = "bnlnpps.swf_testbed.instance"


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars, arguments = task_vars or {}, dict(self._task.args)
        registry, index = (
            os.path.expanduser(str(arguments.pop("registry", None) or "")),
            arguments.pop("index_url", None),
        )
        try:
            if registry and index:
                others = [
                    user for user, used in (_registry.read(registry) or {}).items() if used == index
                ]
                arguments["other_users"] = [*(arguments.get("other_users") or []), *others]
            checked = self._task.check_mode
            result = self._predicted(arguments, task_vars)
            if result.get("failed") or checked:
                return result
            result = self._execute_module(
                module_name=MODULE, module_args=arguments, task_vars=task_vars
            )
            if registry and result.get("user") and not result.get("failed"):
                _registry.unregister(registry, result["user"])
        except (LockHeld, OSError, ValueError) as error:
            raise AnsibleActionFail(
                "instance: cannot update the list of instances on the controller: %s" % error
            ) from None
        return result

    def _predicted(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Predict the removal, and show the items."""
        checked = self._task.check_mode
        self._task.check_mode = True
        try:
            result = self._execute_module(
                module_name=MODULE, module_args=arguments, task_vars=task_vars
            )
        finally:
            self._task.check_mode = checked
        if not result.get("failed"):
            host = task_vars["inventory_hostname"]
            lists = (
                [("would list" if checked else "lists", result["remaining_items"])]
                if arguments.get("write_manifest")
                else [
                    ("would remove" if checked else "removes", result["removed_items"]),
                    ("leaves", result["remaining_items"]),
                    ("leaves, because no manifest lists it:", result["unlisted_paths"]),
                ]
            )
            for verb, items in lists:
                for item in items:
                    Display().display("    %s %s %s" % (host, verb, item))
        return result
