#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supervisor_info
short_description: Report the status of supervisord and its programs, and wait for a state
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Returns the status of supervisord and its programs, in one round trip over its XML-RPC
    interface.
  - Adds information that supervisord does not report directly. These are times in UTC, the exit
    status of programs that exited too quickly (supervisord reports C(0) for them, the status is
    only in its main log), the health of each program, each group and all together, and the ends of
    the logs of unhealthy programs.
  - Waits for states with O(wait_for), and fails as soon as a program cannot reach its state.
  - Fails with a separate message, and a fix, for each cause for which supervisord cannot be
    reached. RV(ignore:cause) is the cause for use in conditions.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - bnlnpps.swf_testbed.supervisor
attributes:
  check_mode:
    support: full
    details:
      - The module never changes anything.
      - In check mode it does not wait for O(wait_for), and it does not fail if supervisord is not
        running, because check mode only predicts the earlier tasks that do both. It warns instead.
  diff_mode:
    support: none
  platform:
    platforms: posix
options:
  wait_for:
    description:
      - The state to wait for, for at most O(wait_timeout) seconds.
      - Either one state for all programs that O(names) and O(groups) select, or a dictionary with a
        state for each program. Its keys are patterns as in O(names). The exact name of a program
        has priority over patterns.
      - V(running) is C(RUNNING) for at least O(min_uptime), or exited with an expected code.
      - V(stopped) is C(STOPPED), or any other state in which the program has no process and will
        not get one.
      - V(exited) is C(EXITED), with any code.
      - V(fatal) is C(FATAL).
      - Waiting for V(running) or V(exited) fails at once on C(FATAL), and for V(running) on an exit
        with an unexpected code after which supervisord does not restart the program.
      - An unknown program also fails at once.
    type: raw
  log_tail_all:
    description: Return the ends of the logs of all selected programs, not only of the unhealthy
      ones.
    type: bool
    default: false
seealso:
  - module: bnlnpps.swf_testbed.supervisor_program
  - name: Process states
    description: The meaning of the states, and the transitions between them.
    link: https://supervisord.org/subprocess.html#process-states
"""

EXAMPLES = r"""
- name: Get the status of everything
  bnlnpps.swf_testbed.supervisor_info:
    config: /etc/swf-testbed/supervisord.conf
  register: testbed

- name: Show the unhealthy programs
  ansible.builtin.debug:
    msg: "{{ testbed.processes | rejectattr('healthy') | map(attribute='full_name') }}"

- name: Wait until all programs have been running for five seconds
  bnlnpps.swf_testbed.supervisor_info:
    socket: /run/swf-testbed/supervisor.sock
    wait_for: running
    wait_timeout: 60
    min_uptime: 5

- name: Wait until a job is done and the agents run
  bnlnpps.swf_testbed.supervisor_info:
    socket: /run/swf-testbed/supervisor.sock
    wait_for:
      setup-database: exited
      "*-agent": running

- name: Get the status of one group behind a TLS proxy, with the last lines of its logs
  bnlnpps.swf_testbed.supervisor_info:
    url: https://testbed.example.org:9443
    username: operator
    password: "{{ supervisor_password }}"
    ca_cert: /etc/ssl/certs/lab-ca.pem
    groups: workers
    log_tail: 500
    log_tail_all: true

- name: Start supervisord if it is not running
  block:
    - name: Query supervisord
      bnlnpps.swf_testbed.supervisor_info:
        socket: /run/swf-testbed/supervisor.sock
      register: asked
      failed_when: asked.cause | default('') not in ['', 'socket_missing', 'socket_stale']

    - name: Start supervisord
      ansible.builtin.systemd_service:
        name: swf-testbed
        state: started
      when: asked.cause is defined
"""

RETURN = r"""
supervisor:
  description: supervisord itself. V(null) in check mode if it is not running.
  returned: when supervisord answered
  type: dict
  sample:
    version: 4.3.0
    api_version: "3.0"
    identification: supervisor
    state: RUNNING
    state_code: 1
    pid: 812
  contains:
    version:
      description: The version of the package supervisor that it runs.
      type: str
    api_version:
      description: The version of its XML-RPC interface.
      type: str
    identification:
      description: Its C(identifier).
      type: str
    state:
      description: Its state, V(RUNNING) or V(FATAL). It does not answer while it shuts down or
        restarts.
      type: str
    state_code:
      description: The number of the state.
      type: int
    pid:
      description: Its PID.
      type: int
processes:
  description: The programs that O(names) and O(groups) select, ordered by group and name.
  returned: when supervisord answered
  type: list
  elements: dict
  contains: &process
    name:
      description: The program's name without its group.
      type: str
      sample: worker_00
    group:
      description: The name of its group.
      type: str
      sample: worker
    full_name:
      description: The name as C(supervisorctl status) shows it, only V(name) if name and group are
        equal.
      type: str
      sample: worker:worker_00
    state:
      description: One of V(STOPPED), V(STARTING), V(RUNNING), V(BACKOFF), V(STOPPING), V(EXITED),
        V(FATAL), V(UNKNOWN).
      type: str
      sample: FATAL
    state_code:
      description: The number of the state.
      type: int
      sample: 200
    healthy:
      description:
        - Whether the program is in the state that its configuration defines.
        - That is C(RUNNING) for at least O(min_uptime), C(EXITED) with an expected code, or
          C(STOPPED) with C(autostart=false).
      type: bool
      sample: false
    pid:
      description: The PID, V(null) without a process.
      type: int
      sample: null
    uptime_seconds:
      description: Seconds since the start of the process, V(null) without a process, or if the
        clock was set back since.
      type: int
      sample: null
    started_at:
      description: When it was last started, in UTC. V(null) if it never was, and from 2038 on.
      type: str
      sample: "2026-05-04T08:30:00Z"
    stopped_at:
      description: When it last stopped or exited, in UTC. V(null) if it runs or never stopped.
      type: str
      sample: "2026-05-04T08:30:02Z"
    spawn_error:
      description: Why it could not be started or did not stay up, in supervisord's words.
      type: str
      sample: Exited too quickly (process log may have details)
    exit_status:
      description:
        - The status with which the last process exited. V(null) if it runs, never ran, was killed,
          or if the status is unknown.
        - After C(Exited too quickly) it comes from supervisord's main log, as far back as 1 MiB. It
          is unknown if several groups have programs of this name, because the log has no groups.
      type: int
      sample: 3
    exit_signal:
      description: The signal that killed the last process, from supervisord's main log.
      type: str
      sample: null
    exit_expected:
      description: Whether the exit status is one of its C(exitcodes). V(null) in other states than
        C(EXITED).
      type: bool
      sample: null
    autostart:
      description:
        - For a C(STOPPED) program, its C(autostart). V(null) for others.
        - Also V(null) if supervisord cannot report it, because a program has a number above
          2147483647 in its configuration.
      type: bool
      sample: null
    stdout_logfile:
      description: The path of the log of its standard output, V(null) without one.
      type: str
      sample: /var/log/swf-testbed/worker_00.log
    stderr_logfile:
      description: The path of the log of its standard error, V(null) without one.
      type: str
      sample: null
    stdout_tail:
      description: The end of the log of its standard output, V(null) if there is none.
      returned: for programs that are not healthy, or with O(log_tail_all)
      type: str
      sample: ""
    stderr_tail:
      description: The end of the log of its standard error, V(null) if there is none.
      returned: for programs that are not healthy, or with O(log_tail_all)
      type: str
      sample: "KeyError: 'ACTIVEMQ_HOST'\n"
groups:
  description: The groups of these programs.
  returned: when supervisord answered
  type: list
  elements: dict
  contains:
    name:
      description: The group's name.
      type: str
      sample: worker
    members:
      description: The full names of its programs.
      type: list
      elements: str
      sample: ["worker:worker_00", "worker:worker_01"]
    worst_state:
      description: The worst state of its programs, C(FATAL) being the worst and C(RUNNING) the
        best.
      type: str
      sample: FATAL
    healthy:
      description: Whether all its programs are healthy.
      type: bool
      sample: false
summary:
  description: The number of these programs, in all and in each state.
  returned: when supervisord answered
  type: dict
  sample: {total: 2, stopped: 0, starting: 0, running: 1, backoff: 0, stopping: 0, exited: 0, fatal:
    1, unknown: 0}
healthy:
  description: Whether all these programs are healthy.
  returned: when supervisord answered
  type: bool
  sample: false
failures:
  description: The programs for which the waiting failed, as in RV(processes), with the ends of
    their logs.
  returned: when waiting for O(wait_for) failed
  type: list
  elements: dict
  contains: *process
cause:
  description:
    - Why the module failed, for use in conditions.
    - V(socket_missing), V(socket_stale), V(refused), V(config_missing) if supervisord does not seem
      to run; V(permission_denied), V(unauthorized) if this user or login lacks access; V(timeout),
      V(died), V(shutting_down), V(internal) if supervisord runs but cannot answer; V(unreachable),
      V(tls), V(not_supervisor), V(too_old), V(no_rpc_interface) if the network or another server is
      the cause; V(bad_address), V(bad_option), V(config_invalid), V(no_server) if an option or the
      configuration is wrong; V(no_such_program), V(wait_failed), V(wait_timeout) for O(wait_for).
  returned: failure
  type: str
  sample: socket_stale
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import (
    arguments as args,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.address import (
    endpoint_from,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import (
    Client,
    Snapshot,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.logs import report
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.wait import (
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
            module.warn(
                "%s In check mode this is not a failure: an earlier task may start it."
                % error.message
            )
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
                msg="wait_for: %r is not a state to wait for (program %s). Fix: choose one of %s."
                % (state, pattern, ", ".join(WANTED_STATES)),
                cause="bad_option",
            )
    return wanted


def _report(
    module: AnsibleModule, client: Client, snapshot: Snapshot, wait_for: dict[str, str]
) -> None:
    params = module.params
    outcome = Outcome(snapshot.processes, {}, False)
    wanted: dict[str, str] = {}
    if wait_for:
        wanted = _wanted(module, snapshot.processes, wait_for)
        timeout = 0 if module.check_mode else params["wait_timeout"]
        outcome = wait(client, wanted, timeout, params["min_uptime"], first=snapshot.processes)
    selected = status.select(outcome.infos, params["names"], params["groups"])
    items = report(client, snapshot, selected, params["min_uptime"])
    result = {
        "supervisor": status.supervisor(snapshot),
        "processes": items,
        "groups": status.groups(items),
        "summary": status.summary(items),
        "healthy": all(item["healthy"] for item in items),
    }
    failed = [item for item in items if status.namespec(item) in outcome.reasons]
    tailed = [
        item for item in items if params["log_tail_all"] or not item["healthy"] or item in failed
    ]
    args.with_tails(client, tailed, params["log_tail"])
    if not outcome.reasons:
        module.exit_json(**result)
    goal = " or ".join(sorted({wanted[name] for name in outcome.reasons})).upper()
    if module.check_mode:
        message = explain(outcome._replace(timed_out=False), items, len(wanted), goal, 0)
        module.warn("Check mode does not wait for this: " + message)
        module.exit_json(**result)
    message = explain(outcome, items, len(wanted), goal, params["wait_timeout"])
    cause = "wait_timeout" if outcome.timed_out else "wait_failed"
    module.fail_json(msg=message, cause=cause, failures=failed, **result)


def _wanted(
    module: AnsibleModule, infos: list[dict[str, t.Any]], wait_for: dict[str, str]
) -> dict[str, str]:
    """Per program the state to wait for: that of its own name, else of the first pattern that
    matches."""
    selected = status.select(infos, module.params["names"], module.params["groups"])
    missing = status.unmatched(selected, wait_for, []) or status.unmatched(
        infos, module.params["names"], module.params["groups"]
    )
    if missing:
        module.fail_json(
            msg=args.no_such_program(missing, [status.display_name(info) for info in infos]),
            cause="no_such_program",
        )
    wanted = {}
    for info in selected:
        state = wait_for.get(status.display_name(info))
        if state is None:
            state = next(
                (value for key, value in wait_for.items() if status.matches(info, [key], [])), None
            )
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
