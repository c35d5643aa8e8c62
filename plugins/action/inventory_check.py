# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the variables of all hosts of the play on the controller, before any of them is contacted.

If there is no problem, it writes the CA that a team shares: the following tasks read its files. And
it saves the inputs of this run, which the action host_state compares with those of the last one.

Hosts with the same variables, in the same groups, are checked once.

Ansible checks a role's variables when the role starts: by then earlier roles have changed the host,
and only the problems of one role are reported.
"""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    CertificateError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._check import (
    ALL,
    problems,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import (
    Values,
    reader,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._play_hosts import (
    others,
    variables_of_hosts,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._shared_ca import (
    EXPORT,
    VARIABLE,
    place,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._state._inputs import Inputs

#: number of hosts that a problem names
MOST = 4


def report(found: dict[Problem, list[str]], hosts: list[str]) -> str:
    """The message for {problem: its hosts}."""
    lines = [
        "this inventory cannot be used, and nothing was changed. Evidence: %s, then run the same "
        "command again."
        % (
            "1 problem. Fix: correct it"
            if len(found) == 1
            else "%d problems. Fix: correct all of them" % len(found)
        )
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

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _result, arguments = self.validate_argument_spec(
            argument_spec={
                "parts": {
                    "type": "list",
                    "elements": "str",
                    "choices": list(ALL),
                    "default": list(ALL),
                }
            }
        )
        hosts = list(task_vars["ansible_play_hosts_all"])
        read = reader(self._loader, self._templar)
        found: dict[Problem, list[str]] = {}
        shared: list[tuple[Any, str]] = []
        alike: dict[str, list[Problem]] = {}
        inputs = Inputs()
        for host, variables in variables_of_hosts(self._task, task_vars):
            same = inputs.add(host, Values(variables, self._templar, read))
            if same in alike:
                for item in alike[same]:
                    found[item].append(host)
                continue
            values = Values(variables, self._templar, read)
            alike[same] = problems(values, arguments["parts"])
            for item in alike[same]:
                found.setdefault(item, []).append(host)
            authority = values.get(VARIABLE) if values.given(VARIABLE) else None
            if authority:
                each = (authority, os.path.expanduser(values.text("swf_testbed_controller_dir")))
                shared += [] if each in shared else [each]
        message = report(found, hosts)
        try:
            if not found:
                result = self._placed(shared)
                if len(arguments["parts"]) == len(ALL):
                    for host, variables in others(self._task, task_vars):
                        inputs.add(host, Values(variables, self._templar, read))
                    inputs.save()
                return result
        except CertificateError as error:
            message = str(error)
        except OSError as error:
            message = (
                "cannot write the CA of %s on the controller. Evidence: %s. Fix: correct that, then "
                "run again" % (VARIABLE, error)
            )
        return {"failed": True, "changed": False, "msg": message}

    def _placed(self, shared: list[tuple[Any, str]]) -> dict[str, Any]:
        """Write the missing files of each (CA, directory). It is not a change: no host gets another
        certificate."""
        files = []
        for authority, directory in shared:
            result = place(authority, directory, self._task.check_mode)
            files += [] if self._task.check_mode else [file.path for file in result.files]
            if result.later:
                Display().warning(
                    "this controller has renewed certificates of the inventory, and other "
                    "controllers do not have them. Evidence: the certificate of %s expires later "
                    "here. Fix: export it: %s" % (", ".join(result.later), EXPORT)
                )
        return {"changed": False, "placed": files}
