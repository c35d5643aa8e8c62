#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supervisor_info
short_description: Report the status of supervisord and its programs, and wait for a state
"""

EXAMPLES = r"""
"""

RETURN = r"""
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _supervisor_args as args
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _supervisor_status as status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_address import endpoint_from
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_client import Client, Snapshot
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_errors import SupervisorError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_logs import main_log_for
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_wait import (
    WANTED_STATES,
    Outcome,
    explain,
    wait,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            args.CONNECTION,
            wait_for={"type": "raw"},
            log_tail_all={"type": "bool", "default": False},
        ),
        **args.RULES,
    )
    args.check_numbers(module)
    wait_for = _wait_for(module)
    try:
        client = Client(endpoint_from(module.params))
        snapshot = client.snapshot(module.params["connect_wait"])
        _report(module, client, snapshot, wait_for)
    except SupervisorError as error:
        if module.check_mode and error.means_not_running:
            module.warn("%s In check mode this is not a failure: nothing is known to run." % error.message)
            module.exit_json(**_nothing_runs())
        args.fail(module, error)


def _wait_for(module: AnsibleModule) -> dict[str, str]:
    """The option wait_for as patterns of programs, each with the state to wait for."""
    value = module.params["wait_for"]
    if value is None:
        return {}
    wanted = value if isinstance(value, dict) else {"all": value}
    for pattern, state in wanted.items():
        if state not in WANTED_STATES:
            module.fail_json(
                msg="wait_for: %r is not a state to wait for (program %s). Choose one of %s."
                % (state, pattern, ", ".join(WANTED_STATES)),
                cause="bad_option",
            )
    return wanted


def _report(module: AnsibleModule, client: Client, snapshot: Snapshot, wait_for: dict[str, str]) -> None:
    params = module.params
    outcome = Outcome(snapshot.processes, {}, False)
    wanted: dict[str, str] = {}
    if wait_for:
        wanted = _wanted(module, snapshot.processes, wait_for)
        timeout = 0 if module.check_mode else params["wait_timeout"]
        outcome = wait(client, wanted, timeout, params["min_uptime"], first=snapshot.processes)
    selected = status.select(outcome.infos, params["names"], params["groups"])
    log = main_log_for(client, selected, snapshot.main_log)
    items = status.processes(selected, snapshot.config, log, params["min_uptime"])
    result = {
        "supervisor": status.supervisor(snapshot),
        "processes": items,
        "groups": status.groups(items),
        "summary": status.summary(items),
        "healthy": all(item["healthy"] for item in items),
    }
    failed = [item for item in items if status.namespec(item) in outcome.reasons]
    tailed = [item for item in items if params["log_tail_all"] or not item["healthy"] or item in failed]
    args.with_tails(client, tailed, params["log_tail"])
    if not outcome.reasons:
        module.exit_json(**result)
    goal = " or ".join(sorted({wanted[name] for name in outcome.reasons})).upper()
    message = explain(outcome, items, len(wanted), goal, params["wait_timeout"])
    if module.check_mode:
        module.warn("Check mode does not wait: " + message)
        module.exit_json(**result)
    cause = "wait_timeout" if outcome.timed_out else "wait_failed"
    module.fail_json(msg=message, cause=cause, failures=failed, **result)


def _wanted(module: AnsibleModule, infos: list[dict[str, t.Any]], wait_for: dict[str, str]) -> dict[str, str]:
    """Per program the state to wait for: of its own name if that is in wait_for, else of the first pattern that fits."""
    selected = status.select(infos, module.params["names"], module.params["groups"])
    missing = status.unmatched(selected, wait_for, []) or status.unmatched(
        infos, module.params["names"], module.params["groups"]
    )
    if missing:
        module.fail_json(
            msg="supervisord knows no program %s. It knows: %s."
            % (", ".join(missing), ", ".join(status.display_name(info) for info in infos) or "none"),
            cause="no_such_program",
        )
    wanted = {}
    for info in selected:
        state = wait_for.get(status.display_name(info))
        if state is None:
            state = next((value for key, value in wait_for.items() if status.matches(info, [key], [])), None)
        if state is not None:
            wanted[status.namespec(info)] = state
    return wanted


def _nothing_runs() -> dict[str, t.Any]:
    return {
        "supervisor": None,
        "processes": [],
        "groups": [],
        "summary": status.summary([]),
        "healthy": False,
    }


if __name__ == "__main__":
    main()
