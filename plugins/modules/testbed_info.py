#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: testbed_info
short_description: Report what the instances of the testbed on a host are doing
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Reports, in one call, the release, the daemon and the programs of every instance named, and what
    the monitor says of the testbed's health. An instance that is down or was never installed is
    part of the report and no failure.
  - A program that runs now, but ended at least twice within the last hour and was started again by
    supervisord, is not well.
  - Where programs are not well and another release became active less than a day ago, a problem
    says so, and how to go back.
  - Tries to write into the directories of an instance, as the users that write there; no file is
    left.
  - Releases the host, if a play with the lookup P(bnlnpps.swf_testbed.lease#lookup) holds it, since
    it is the last call of a run.
  - Looks whether the active release is still what was built. Seen are packages that were added,
    removed or changed, and files of packages that are gone, have another size, or were written
    later with other content. Not seen are content of the same size under a time that was set back,
    compiled bytecode, and files that were added inside of a package.
options:
  instances:
    description: Names of the instances.
    type: list
    elements: str
    required: true
  scope:
    description: V(user) for instances of the login, V(system) for those of the host.
    type: str
    choices: [user, system]
    default: user
  health_url:
    description:
      - Address of the monitor's health page, on a host that has it. It is asked as the last of
        O(instances) asks it, with the CA certificates of that.
    type: str
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
seealso:
  - module: bnlnpps.swf_testbed.supervisor_info
"""

EXAMPLES = r"""
- name: Ask what runs
  bnlnpps.swf_testbed.testbed_info:
    instances: [swf-testbed]
    health_url: http://127.0.0.1:8002/api/health/
"""

RETURN = r"""
instances:
  description: What each instance does.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the instance.
      type: str
      sample: swf-testbed
    release:
      description: Id of the active release, or null.
      type: str
      sample: 0.1.0-3f2a9c1e
    config:
      description: Path of supervisord's configuration.
      type: str
      sample: /etc/swf-testbed/supervisord.conf
    unreachable:
      description: Process ids of supervisord processes of this instance that are not reached at its
        socket.
      type: list
      elements: int
      sample: []
    has_ill_programs:
      description: Whether a program does not do what it should.
      type: bool
      sample: false
    problems:
      description: What is not well, each line with the next step.
      type: list
      elements: str
      sample: []
    processes:
      description: The programs, as M(bnlnpps.swf_testbed.supervisor_info) returns them.
      type: list
      elements: dict
healthy:
  description: Whether no instance has a problem.
  returned: always
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import message
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    InstanceNameError,
    instance_name,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    layout,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import release
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.writes import (
    instance_problems,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.health import (
    ask,
    problems,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.state import State


def report(instance, scope):
    """What one instance does."""
    state = State(layout(instance, scope, environment_of_login()))
    found = state.findings + (instance_problems(state.places) if state.installed else [])
    return {
        "name": instance,
        "release": state.release,
        "processes": state.processes,
        "config": state.places["supervisord_conf"],
        "unreachable": state.unreachable,
        "has_ill_programs": not all(item["healthy"] for item in state.processes),
        "problems": [message(item) for item in found],
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "str", "required": True},
            "scope": {"type": "str", "choices": ["user", "system"], "default": "user"},
            "health_url": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        names = [instance_name(name, "instances") for name in module.params["instances"]]
    except InstanceNameError as error:
        module.fail_json(msg=str(error))
    found = [report(name, module.params["scope"]) for name in names]
    # a monitor whose daemon is down has been reported already
    if module.params["health_url"] and found and found[-1]["processes"]:
        ca_file = layout(found[-1]["name"], module.params["scope"], environment_of_login())[
            "ca_file"
        ]
        found[-1]["problems"] += problems(*ask(module.params["health_url"], ca_file))
    if not module.check_mode:
        # the last call of a run
        release()
    module.exit_json(
        changed=False, instances=found, healthy=not any(item["problems"] for item in found)
    )


if __name__ == "__main__":
    main()
