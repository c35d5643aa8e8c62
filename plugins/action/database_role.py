# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the task over to community.postgresql.postgresql_user, with the password that the task names and does not carry."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._named_values import resolved


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        return self._execute_module(
            module_name="community.postgresql.postgresql_user", task_vars=task_vars,
            module_args=resolved(self._task.args, ("password",), task_vars or {}, self._templar))
