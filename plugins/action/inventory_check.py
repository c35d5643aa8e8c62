# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the variables of all hosts of the play on the controller, in one go, before any of them is contacted.

Ansible checks a role's variables when the role starts: by then earlier roles have changed the host, and only the problems of one
role are reported.
"""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._check import ALL, problems
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values, reader

#: hosts that are named; of more, their number is said
MOST = 4


def report(found, hosts):
    """The message for {problem: hosts that have it}."""
    lines = [
        "this inventory cannot be used, and nothing was changed. Evidence: %s. Fix: correct all of it, then run the same command "
        "again." % ("1 problem" if len(found) == 1 else "%d problems" % len(found))
    ]
    for number, (item, those) in enumerate(found.items(), 1):
        where = (
            ""
            if len(those) == len(hosts)
            else "%s: "
            % (
                ", ".join(those)
                if len(those) <= MOST
                else "%s and %d more hosts" % (", ".join(those[: MOST - 1]), len(those) - MOST + 1)
            )
        )
        lines.append("%d. %s%s" % (number, where, item.text()))
    return "\n".join(lines)


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("parts",))

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            argument_spec={"parts": {"type": "list", "elements": "str", "choices": list(ALL), "default": list(ALL)}}
        )
        hosts = list(task_vars["ansible_play_hosts_all"])
        read, found = reader(self._loader, self._templar), {}
        for host in hosts:
            for item in problems(Values(self._variables_of(host, task_vars), self._templar, read), arguments["parts"]):
                found.setdefault(item, []).append(host)
        if found:
            return {"failed": True, "changed": False, "msg": report(found, hosts)}
        return {"changed": False}

    def _variables_of(self, host, task_vars):
        """The variables of a host of the play, as a task on it has them."""
        if host == task_vars["inventory_hostname"]:
            return task_vars
        manager = self._task.get_variable_manager()
        return manager.get_vars(play=self._task.get_play(), host=manager._inventory.get_host(host), task=self._task)
