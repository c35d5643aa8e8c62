# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of host_check: checks the variables, compares the clocks, and reports an
unreachable host as a finding."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import Templar

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import finding
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.secrets import Scrubber
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._check import problems
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import (
    Values,
    reader,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._named_values import resolved
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._unreached import (
    output_of,
    unreached,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._used_services import (
    with_passwords,
)

MAX_CLOCK_OFFSET = 5.0


def clock_problem(
    clock: Mapping[str, float], sent: float, received: float, most: float
) -> dict[str, Any] | None:
    """A finding if the clocks of controller and host differ by more than ``most`` seconds, None
    otherwise.

    The host began between ``sent`` and ``received`` minus the duration: a smaller difference cannot
    be measured, and is not reported.
    """
    least, greatest = clock["began"] - (received - clock["took"]), clock["began"] - sent
    offset = greatest if greatest < 0 else max(least, 0)
    if abs(offset) <= most:
        return None
    return finding(
        "clock",
        "the clock of this host, or that of the controller, is wrong",
        "it is %s by %.0f s" % ("behind" if offset < 0 else "ahead", abs(offset)),
        "Compare both: date -u. Then run: sudo timedatectl set-ntp true. The validity of "
        "certificates and tokens depends on the clock",
    )


def public(index: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """(index, the certificates of its CA or None): a host cannot use a path on the controller, but
    it can use the text."""
    path = index.get("ca_cert")
    try:
        return dict(index, ca_cert=None), Path(path).expanduser().read_text(
            encoding="utf-8"
        ) if path else None
    except OSError:
        # the lab CA, which the first run creates
        return dict(index, ca_cert=None), None


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        host = task_vars["inventory_hostname"]
        # as in check mode: do not generate secrets at their first use
        variables = dict(task_vars, ansible_check_mode=True)
        # not copy_with_new_env: with ansible-core 2.16 to 2.18 lookups in a copy see the variables
        # of the first one
        templar = Templar(loader=self._loader, variables=variables)
        arguments = dict(self._task.args)
        found = [
            self._of_variable(item)
            for item in problems(Values(task_vars, self._templar, reader(self._loader, templar)))
        ]
        most = float(arguments.get("max_clock_offset", MAX_CLOCK_OFFSET))
        try:
            arguments = resolved(arguments, ("indexes",), variables, templar)
            if arguments.get("indexes"):
                indexes = [public(index) for index in arguments["indexes"]]
                arguments["indexes"] = [index for index, _ca in indexes]
                arguments["index_cas"] = {index["name"]: ca for index, ca in indexes if ca}
            read = Values(task_vars, self._templar).get
            arguments["reach"] = with_passwords(arguments.get("reach") or (), read)
            sent = time.time()
            result = self._execute_module(
                module_name="bnlnpps.swf_testbed.host_check",
                module_args=arguments,
                task_vars=task_vars,
            )
            received = time.time()
        except AnsibleError as error:
            # a host that is down is a finding
            result = {"unreachable": True, "msg": str(error)}
        if result.get("failed") or result.get("unreachable") or "findings" not in result:
            scrub = Scrubber()
            for index in arguments.get("indexes", ()):
                scrub.learn(index.get("username"), index.get("token"))
            for item in arguments.get("reach") or ():
                scrub.learn(item.get("user"), item.get("password"))
            found.append(unreached(scrub.text(output_of(result)), host, task_vars))
            return {"changed": False, "findings": found, "installed": {}, "reached": False}
        result["findings"] = [
            *found,
            *filter(None, [clock_problem(result["clock"], sent, received, most)]),
            *result["findings"],
        ]
        return result

    @staticmethod
    def _of_variable(item: Any) -> dict[str, Any]:
        return finding(
            "variables",
            "%s %s" % (item.variable, item.cause),
            item.evidence,
            item.fix[0].upper() + item.fix[1:],
        )
