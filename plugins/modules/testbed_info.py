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
  - Reports, in one call, the release, the daemon and the programs of every instance named, and what the monitor says of the
    testbed's health. An instance that is down or was never installed is part of the report and no failure.
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
    description: Address of the monitor's health page, on a host that has it.
    type: str
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
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

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _supervisor_status as status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._environments import active
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._health import ask, problems
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._layout import environment_of_login, layout
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_errors import SupervisorError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_logs import report as report_of
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_transport import Endpoint


def report(instance, scope):
    """What one instance does."""
    places = layout(instance, scope, environment_of_login())
    result = {"name": instance, "release": active(places["root"]), "problems": [], "processes": []}
    if not os.path.exists(places["supervisord_conf"]):
        result["problems"] = ["not installed: there is no %s. Run: ansible-playbook site.yml" % places["supervisord_conf"]]
        return result
    try:
        client = Client(Endpoint("unix", places["socket"]))
        snapshot = client.snapshot()
        result["processes"] = report_of(client, snapshot, snapshot.processes, 0)
    except SupervisorError as error:
        cure = "Run: ansible-playbook playbooks/start.yml" if error.means_not_running else ""
        result["problems"] = [("%s %s" % (error.message, cure)).strip()]
        return result
    result["problems"] = ["%s. Look at: tail %s" % (status.describe(item), item["stdout_logfile"])
                          for item in result["processes"] if not item["healthy"]]
    return result


def main():
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "str", "required": True},
            "scope": {"type": "str", "choices": ["user", "system"], "default": "user"},
            "health_url": {"type": "str"},
        },
        supports_check_mode=True,
    )
    found = [report(name, module.params["scope"]) for name in module.params["instances"]]
    # a monitor whose daemon is down has been reported already
    if module.params["health_url"] and found and found[-1]["processes"]:
        found[-1]["problems"] += problems(*ask(module.params["health_url"]))
    module.exit_json(changed=False, instances=found, healthy=not any(item["problems"] for item in found))


if __name__ == "__main__":
    main()
