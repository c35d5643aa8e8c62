# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of preflight: marks what the host answers as an answer of this run, which a fact cache cannot know.

Two names of one machine in an inventory are refused here: only the controller sees both.
"""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._run import claimed_by, stamped

LAYOUT = "swf_testbed_layout_"


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        result = self._execute_module(
            module_name="bnlnpps.swf_testbed.preflight", module_args=dict(self._task.args), task_vars=task_vars)
        if "place" in result and not result.get("failed"):
            other = claimed_by(result["place"], task_vars["inventory_hostname"])
            if other != task_vars["inventory_hostname"]:
                raise AnsibleActionFail(
                    "%s and %s are the same machine, and nothing was changed. Evidence: the same running kernel has the same "
                    "directory for both. Fix: keep one of the names in the inventory, in all groups that it needs, or set "
                    "another swf_testbed_instance, with other ports, for one of them" % (other, task_vars["inventory_hostname"]))
        if "ansible_facts" in result:
            # beside the layout there is the interpreter that Ansible has discovered
            result["ansible_facts"] = {name: stamped(fact) if name.startswith(LAYOUT) else fact
                                       for name, fact in result["ansible_facts"].items()}
        return result
