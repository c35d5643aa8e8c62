# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of preflight: marks the layout as a fact of this run, in contrast to a cached
one. Checks that need the controller: two names of one machine, and secrets that another controller
gave to the host.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._controller import started
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._held_secrets import HeldSecrets
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._provenance_check import (
    older,
    refusal,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._run import (
    claimed_by,
    run_id,
    stamped,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._state._record import (
    note_preflight,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._used_services import of_preflight

# the others are of Ansible
OURS = "swf_testbed_"
# groups of services with secrets, and a record of them
SERVICES = {"broker", "database", "monitor", "redis"}
# seconds that the earlier of two simultaneous runs waits for the other, which may hold some of the
# hosts
PATIENCE = 20
POLL_SECONDS = 1


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        result = self._held(task_vars)
        # in all cases: nobody else must see them
        records = result.pop("records", [])
        result.pop("lease_holder", None)
        if result.get("failed") or result.get("unreachable"):
            return result
        why = doubled(result, task_vars["inventory_hostname"]) or self._refusal(records, task_vars)
        if why:
            # this run ends here: other runs need not wait
            self._execute_module(
                module_name="bnlnpps.swf_testbed.lease",
                module_args={"state": "absent"},
                task_vars=task_vars,
            )
            raise AnsibleActionFail(why)
        note_preflight(task_vars["inventory_hostname"], self._task.args)
        if "ansible_facts" in result:
            # the facts also contain the interpreter that Ansible has discovered
            result["ansible_facts"] = {
                name: stamped(fact) if name.startswith(OURS) else fact
                for name, fact in result["ansible_facts"].items()
            }
        return result

    def _refusal(self, records: list[dict[str, Any]], task_vars: dict[str, Any]) -> str | None:
        """The error message if this controller must not change the host, or None."""
        if not records:
            return None
        held = HeldSecrets(task_vars, self._templar)
        why = None
        if not boolean(held.variable("swf_testbed_allow_older_collection"), strict=False):
            why = older(records)
        if not why and not boolean(held.variable("swf_testbed_replace_secrets"), strict=False):
            why = refusal(records, held, task_vars["inventory_hostname"])
        return why

    def _held(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The module's result. Two simultaneous runs may each hold some of the hosts. The later one
        fails at once and releases its hosts, so that the other one can continue.
        """
        deadline = time.monotonic() + PATIENCE
        arguments = dict(
            self._task.args,
            services=sorted(SERVICES & set(task_vars.get("group_names") or ())),
            reach=of_preflight(self._task.args, self._task.check_mode, task_vars, self._templar),
        )
        while True:
            result = self._execute_module(
                module_name="bnlnpps.swf_testbed.preflight",
                task_vars=task_vars,
                module_args=arguments,
            )
            holder = result.get("lease_holder")
            if (
                not holder
                or (started(), run_id()) > (holder["started"], holder["run"])
                or time.monotonic() > deadline
            ):
                return result
            time.sleep(POLL_SECONDS)


def doubled(result: Mapping[str, Any], host: str) -> str | None:
    """The error message for a host that is in the inventory under two names, or None."""
    other = claimed_by(result["place"], host) if "place" in result else host
    if other == host:
        return None
    return (
        "%s and %s are the same machine, and nothing was changed. Evidence: both have the same "
        "directory under the same running kernel. Fix: use only one of the names in the inventory, "
        "in all groups that it needs, or set another swf_testbed_instance, with other ports, for "
        "one of them" % (other, host)
    )
