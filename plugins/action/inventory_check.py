# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the variables of all hosts of the play on the controller, in one go, before any of them is
contacted.

When there is no problem it places the CA that a team shares: from the second task on, its files are
read by their paths.

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
    variables_of_hosts,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._shared_ca import (
    EXPORT,
    VARIABLE,
    place,
)

#: hosts that are named; of more, their number is said
MOST = 4


def report(found: dict[Problem, list[str]], hosts: list[str]) -> str:
    """The message for {problem: hosts that have it}."""
    lines = [
        "this inventory cannot be used, and nothing was changed. Evidence: %s. Fix: correct all of "
        "it, then run the same command "
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

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
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
        read, found, shared = reader(self._loader, self._templar), {}, []
        for host, variables in variables_of_hosts(self._task, task_vars):
            values = Values(variables, self._templar, read)
            for item in problems(values, arguments["parts"]):
                found.setdefault(item, []).append(host)
            authority = values.get(VARIABLE) if values.given(VARIABLE) else None
            if authority:
                each = (authority, os.path.expanduser(values.text("swf_testbed_controller_dir")))
                shared += [] if each in shared else [each]
        if found:
            return {"failed": True, "changed": False, "msg": report(found, hosts)}
        try:
            return self._placed(shared)
        except CertificateError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
        except OSError as error:
            return {
                "failed": True,
                "changed": False,
                "msg": "cannot place the CA of %s in %s on the controller: %s"
                % (VARIABLE, error.filename, error.strerror),
            }

    def _placed(self, shared: list[tuple[Any, str]]) -> dict[str, Any]:
        """Place what is missing of each (CA, directory). It is no change: no host has another
        certificate by it."""
        files = []
        for authority, directory in shared:
            done = place(authority, directory, self._task.check_mode)
            files += [] if self._task.check_mode else [file.path for file in done.files]
            if done.later:
                Display().warning(
                    "this controller has renewed what the inventory shares, and other controllers "
                    "do not have it. Evidence: the "
                    "certificate of %s ends later here. Fix: export it: %s"
                    % (", ".join(done.later), EXPORT)
                )
        return {"changed": False, "placed": files}
