#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supervisor_program
short_description: Manage programs that run under supervisord
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Starts, stops, restarts and signals programs of a running supervisord, and applies its changed
    configuration.
  - Uses supervisord's XML-RPC interface directly. One call has the commands for all programs, and
    supervisord carries them out at the same time.
  - Waits until the programs are in the wanted state. If they do not reach it, the module fails with
    their states, the reasons, and the ends of their logs.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - bnlnpps.swf_testbed.supervisor
attributes:
  check_mode:
    support: full
    details:
      - Nothing is changed, not even the configuration that supervisord has in memory.
      - For O(state=applied) and O(state=present) the code of supervisor itself reads the
        configuration, in a process with the Python, user, environment and directory of supervisord,
        and the module compares the result with the active configuration. The module must run on the
        host of supervisord, as its user or as root.
      - supervisord does not report its whole active configuration. The keys C(autorestart),
        C(environment), C(stopasgroup) and C(umask), the events of listeners and the sockets of
        FastCGI programs are compared with a record of the last O(state=applied), or not at all if
        no file was written since supervisord started. RV(config_changes.unverified) has the groups
        without such a record, for example because another tool applied them. For those, the module
        compares the environment of running processes, if this user may read it.
      - A program that would be started is predicted as C(RUNNING), also a one-shot program.
      - If supervisord is not running, the module warns and does not fail. It predicts a change,
        except for O(state=stopped) and O(state=absent). So the first run of a play can be in check
        mode.
  diff_mode:
    support: full
    details:
      - Shows the affected programs, with their states, the actions, and the keys of their
        configuration that change. Values of C(environment) are not shown.
  platform:
    platforms: posix
options:
  state:
    description:
      - The action for the programs that O(names) and O(groups) select. All except V(applied) need
        one of these options; V(all) in O(names) selects all programs.
      - V(started) starts those that do not run. C(FATAL) ones are tried again, and C(BACKOFF) ones
        at once. One that exited with an expected code stays as it is. V(restarted) runs it again.
      - V(stopped) stops those that run.
      - V(restarted) stops those that run, all at the same time, and starts all.
      - V(signalled) sends O(signal) to those that run. It always reports a change, and fails for a
        program that does not run if that was named without a pattern.
      - V(applied) lets supervisord read its configuration again, and adds, replaces and removes the
        groups that differ. Then it starts the programs with C(autostart) that do not run, also
        those that failed or were stopped by hand, but not those that exited with an expected code.
        Programs of unchanged groups are not restarted. Without O(names) and O(groups) it affects
        all groups, otherwise those with a selected program.
      - As soon as V(applied), V(restarted) or V(absent) begins to stop programs, a detached process
        on the host completes the change, even if the controller and the module are killed.
      - V(present) adds configured groups that are not active yet, and does not change active ones.
      - V(absent) stops groups and removes them from supervisord. If they are still in the
        configuration file, the next V(applied) adds them again.
    type: str
    required: true
    choices:
      - absent
      - applied
      - present
      - restarted
      - signalled
      - started
      - stopped
  start_order:
    description:
      - For O(state=applied) and O(state=started), programs with the role V(listener) or V(agent)
        start only after the monitor has answered, on whichever host it is.
      - All other programs are started or replaced first. The programs that wait are not stopped
        before the monitor answers. If it does not answer in time, they do not change, and
        the module fails.
      - Without a health page and probes of a monitor, no program waits.
      - If no program that waits has to be started or replaced, the monitor is not queried.
    type: dict
    suboptions:
      url:
        description: Address of the health page of the monitor. HTTP 200 and 503 are answers, since
          the page reports listeners and agents that do not run.
        type: str
        default: ""
      probes:
        description: Probes, as C(health.probes) in a stack file. Those with C(agents) and those of
          programs with the role V(monitor) count, without their conditions.
        type: list
        elements: dict
        default: []
      components:
        description: The programs of the stack, each with C(name), C(role) and, for a monitor,
          C(start_timeout), the seconds to wait for it if that is more than the C(timeout).
        type: list
        elements: dict
        default: []
      timeout:
        description: Seconds to wait for the answers.
        type: float
        default: 60
      ca_cert:
        description: File of the CA certificates to verify the monitor with. The default, also if
          the file does not exist, is those of the host.
        type: path
  signal:
    description: The signal for O(state=signalled), as a name like V(HUP) or V(SIGHUP), or a number.
    type: str
notes:
  - supervisord replaces whole groups. If one program of a group or its C(numprocs) changes, all
    programs of the group are restarted. RV(config_changes.restarted_unchanged) has the programs
    whose own configuration did not change.
  - supervisord reads its own C([supervisord]) section and its servers only at its start. Changes
    there need a restart of supervisord. The C(environment) in that section is an exception, it is
    part of all programs.
  - After O(state=applied) and O(state=present) a file with the name of the socket and the suffix
    C(.applied) has hashes of the active configuration, for check mode. Only its owner can read it,
    and it can be deleted at any time.
seealso:
  - module: bnlnpps.swf_testbed.supervisor_info
  - plugin: bnlnpps.swf_testbed.supervisor_environment
    plugin_type: filter
  - plugin: bnlnpps.swf_testbed.supervisor_escape
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Apply the configuration, and wait until all programs run for three seconds
  bnlnpps.swf_testbed.supervisor_program:
    config: /etc/swf-testbed/supervisord.conf
    state: applied
    wait_timeout: 60
    min_uptime: 3

- name: Start two programs
  bnlnpps.swf_testbed.supervisor_program:
    socket: /run/swf-testbed/supervisor.sock
    names:
      - monitor
      - daqsim-agent
    state: started

- name: Apply the configuration, and start agents when the monitor of another host answers
  bnlnpps.swf_testbed.supervisor_program:
    config: /etc/swf-testbed/supervisord.conf
    state: applied
    start_order:
      url: https://monitor.example.org/api/health/
      components:
        - name: data-agent
          role: agent

- name: Restart all programs of a group at the same time
  bnlnpps.swf_testbed.supervisor_program:
    socket: /run/swf-testbed/supervisor.sock
    names: worker:*
    state: restarted

- name: Stop all programs for maintenance
  bnlnpps.swf_testbed.supervisor_program:
    socket: /run/swf-testbed/supervisor.sock
    names: all
    state: stopped

- name: Reload the web server
  bnlnpps.swf_testbed.supervisor_program:
    url: 127.0.0.1:9001
    username: operator
    password: "{{ supervisor_password }}"
    names: nginx
    state: signalled
    signal: HUP

- name: Remove a group whose configuration file was deleted
  bnlnpps.swf_testbed.supervisor_program:
    socket: /run/swf-testbed/supervisor.sock
    groups: old-agent
    state: absent
"""

RETURN = r"""
changed_programs:
  description: The full names of the affected programs, in check mode of those that would be.
  returned: success, and failure after something was done
  type: list
  elements: str
  sample: ["monitor", "worker:worker_00"]
actions:
  description:
    - The action for each of them.
    - One of V(added), V(removed), V(restarted), V(started), V(stopped), V(signalled) and
      V(replaced). The last is a program with a new configuration that runs neither before nor
      afterwards.
  returned: success, and failure after something was done
  type: dict
  sample: {monitor: started, "worker:worker_00": restarted}
before:
  description: Per full name of a program, its state and PID before.
  returned: success, and failure after something was done
  type: dict
  sample: {monitor: {state: FATAL, pid: null}, "worker:worker_00": {state: RUNNING, pid: 811}}
after:
  description: The same afterwards. In check mode it is predicted, and the PID of a process that
    would be new is V(null).
  returned: success, and failure after something was done
  type: dict
  sample: {monitor: {state: RUNNING, pid: 907}, "worker:worker_00": {state: RUNNING, pid: 908}}
config_changes:
  description: The differences between the configuration files and the active configuration.
  returned: for O(state=applied), O(state=present) and O(state=absent)
  type: dict
  contains:
    added:
      description: The groups that were added.
      type: list
      elements: str
      sample: []
    changed:
      description: The groups that were replaced.
      type: list
      elements: str
      sample: ["worker"]
    removed:
      description: The groups that were removed.
      type: list
      elements: str
      sample: []
    changed_keys:
      description:
        - Per full name of a program in a replaced group, the keys of its configuration that
          changed.
        - Without a record of the last O(state=applied), it lacks programs whose only changes are in
          keys that supervisord does not report.
      type: dict
      sample: {"worker:worker_00": ["command", "environment"]}
    restarted_unchanged:
      description: Programs that were restarted only because another program of their group changed.
      type: list
      elements: str
      sample: ["worker:worker_01"]
    unverified:
      description: In check mode, the groups that seem unchanged, with keys that could not be
        compared.
      type: list
      elements: str
      sample: []
processes:
  description: All programs, as M(bnlnpps.swf_testbed.supervisor_info) returns them.
  returned: when the waiting failed
  type: list
  elements: dict
failures:
  description: Those of RV(processes) that are not in the wanted state, with the ends of their
    logs.
  returned: when the waiting failed
  type: list
  elements: dict
cause:
  description:
    - Why the module failed, for use in conditions.
    - In addition to the causes of M(bnlnpps.swf_testbed.supervisor_info) there are V(group_failed)
      and V(call_refused) if supervisord could not carry out a call, V(interrupted) if the process
      that completes the change was killed, V(part_of_group) if O(state=absent) selects a part of a
      group, V(not_running) if a program cannot be signalled, and V(config_unknown) if check mode
      cannot read the configuration of supervisord. With V(not_answered) the monitor did not answer,
      see O(start_order). With V(config_invalid) supervisord refuses the
      new configuration, and nothing was changed.
  returned: failure
  type: str
  sample: wait_failed
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.detached import (
    StepKilledError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.start_order import (
    OPTION,
    start_order,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import (
    arguments as args,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.address import (
    endpoint_from,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_programs import (
    signal_number,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    RpcFault,
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.states import STATES
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.task import Task


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            args.CONNECTION,
            state={"type": "str", "required": True, "choices": sorted(STATES)},
            signal={"type": "str"},
            start_order=OPTION,
        ),
        required_if=[("state", "signalled", ["signal"])],
        **args.RULES,
    )
    hold(module)
    args.check_numbers(module)
    state = module.params["state"]
    if state != "applied" and not module.params["names"] and not module.params["groups"]:
        module.fail_json(
            msg="state=%s needs 'names' or 'groups'. Fix: give them, or names: all." % state,
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
        task = Task(
            module,
            client,
            client.snapshot(module.params["connect_wait"]),
            start_order(module.params["start_order"]),
        )
        result = STATES[state](task)
    except SupervisorError as error:
        if module.check_mode and error.means_not_running:
            _predict_without_supervisord(module, error)
        args.fail(module, error, changed=task is not None and task.touched)
    except RpcFault as fault:
        refusal = SupervisorError(
            "call_refused", "supervisord refuses a call. Evidence: %s." % fault.text
        )
        args.fail(module, refusal, changed=task is not None and task.touched)
    except StepKilledError as error:
        args.fail(module, SupervisorError("interrupted", str(error)), changed=True)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def _predict_without_supervisord(module: AnsibleModule, error: SupervisorError) -> None:
    """A first run in check mode: the start of supervisord is only predicted, too."""
    changes = module.params["state"] not in ("stopped", "absent")
    module.warn(
        "%s In check mode this is not a failure: the prediction is %s."
        % (error.message, "a change as soon as supervisord runs" if changes else "no change")
    )
    module.exit_json(changed=changes, changed_programs=[], actions={}, before={}, after={})


if __name__ == "__main__":
    main()
