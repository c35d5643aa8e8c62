#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supervisor_program
short_description: Manage programs that run under supervisord
"""

EXAMPLES = r"""
"""

RETURN = r"""
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _supervisor_args as args
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_address import endpoint_from
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_conf_programs import (
    signal_number,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_errors import (
    RpcFault,
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_program_states import (
    STATES,
    Task,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            args.CONNECTION,
            state={"type": "str", "required": True, "choices": sorted(STATES)},
            signal={"type": "str"},
        ),
        required_if=[("state", "signalled", ["signal"])],
        **args.RULES,
    )
    args.check_numbers(module)
    state = module.params["state"]
    if state != "applied" and not module.params["names"] and not module.params["groups"]:
        module.fail_json(
            msg="state=%s needs 'names' or 'groups'. For all programs give names: all." % state,
            cause="bad_option",
        )
    if state == "signalled":
        try:
            signal_number(module.params["signal"])
        except ValueError as error:
            module.fail_json(msg="signal: %s." % error, cause="bad_option")
    task = None
    try:
        client = Client(endpoint_from(module.params))
        task = Task(module, client, client.snapshot(module.params["connect_wait"]))
        result = STATES[state](task)
    except SupervisorError as error:
        if module.check_mode and error.means_not_running:
            _predict_without_supervisord(module, error)
        args.fail(module, error, changed=task is not None and task.touched)
    except RpcFault as fault:
        error = SupervisorError("call_refused", "supervisord refuses a call: %s." % fault.text)
        args.fail(module, error, changed=task is not None and task.touched)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def _predict_without_supervisord(module: AnsibleModule, error: SupervisorError) -> t.NoReturn:
    """A first run in check mode: what was to start supervisord has only been predicted as well."""
    changes = module.params["state"] not in ("stopped", "absent")
    module.warn(
        "%s In check mode this is not a failure: the task is taken to %s."
        % (error.message, "change something once supervisord runs" if changes else "have nothing to do")
    )
    module.exit_json(changed=changes, changed_programs=[], actions={}, before={}, after={})


if __name__ == "__main__":
    main()
