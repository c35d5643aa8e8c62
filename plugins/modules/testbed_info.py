#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: testbed_info
short_description: Report the state of the testbed instances on a host
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Reports, in one call, the release, the daemon and the programs of each instance, the health that
    the monitor reports, and the probes of the stack that do not pass. An instance that is down or
    not installed is part of the report and no failure.
  - A running program that ended at least twice within the last hour, and was restarted by
    supervisord, is unhealthy.
  - If programs are unhealthy and another release became active less than a day ago, a problem
    reports that, with the command for the rollback.
  - Tries to write to the directories of an instance, as the users that write there; no file
    remains.
  - Checks the services of O(reach) with the login of the last one of O(instances), and reports
    those that it cannot verify.
  - Releases the lock of a play with the lookup P(bnlnpps.swf_testbed.lease#lookup) on the host,
    because it is the last call of a run.
  - Compares the active release with its build. It detects added, removed and changed packages, and
    files of packages that are missing, have another size, or were written later with other
    content. It does not detect content of the same size with an older time, compiled bytecode, and
    files that were added to a package.
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
      - Address of the monitor's health page, on a host that runs the monitor. The CA certificates
        of the last one of O(instances) verify it, and it gets the API token of that instance.
    type: str
  summary_url:
    description:
      - Address of the summary of a monitor that is on no host of the inventory. It judges the agents of
        the last one of O(instances), each by its heartbeats since its start, and in its namespace.
    type: str
    default: ""
  expects_lingering:
    description: Whether to report a login without lingering, in user scope.
    type: bool
    default: false
  probes:
    description: The probes of the last one of O(instances), as
      O(bnlnpps.swf_testbed.testbed_health#module:probes).
    type: list
    elements: dict
    default: []
  components:
    description: The programs of the stack, as
      O(bnlnpps.swf_testbed.testbed_health#module:components).
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - bnlnpps.swf_testbed.reach
  - bnlnpps.swf_testbed.read_only
seealso:
  - module: bnlnpps.swf_testbed.supervisor_info
"""

EXAMPLES = r"""
- name: Report the state of the testbed
  bnlnpps.swf_testbed.testbed_info:
    instances: [swf-testbed]
    health_url: http://127.0.0.1:8002/api/health/
"""

RETURN = r"""
instances:
  description: The state of each instance.
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
      description: Process ids of supervisord processes of this instance that its socket does not
        reach.
      type: list
      elements: int
      sample: []
    has_ill_programs:
      description: Whether a program is unhealthy.
      type: bool
      sample: false
    problems:
      description: The problems, each line with the next step.
      type: list
      elements: str
      sample: []
    notes:
      description: The services that are not verified, such as an external broker that forbids the
        check. This is not a problem, because the inventory accepts it.
      type: list
      elements: str
      sample: []
    processes:
      description: The programs, as M(bnlnpps.swf_testbed.supervisor_info) returns them.
      type: list
      elements: dict
central:
  description: The judgement of the monitor of O(summary_url). Null without one, or if no agent runs.
  returned: always
  type: dict
  sample: {url: "https://testbed.example.org/api/summary/", agents: 2, heard: 2, namespaces: [alice]}
lingering:
  description: With O(expects_lingering), the login of a host that systemd runs, if lingering is not enabled
    for it (C(loginctl enable-linger)). Otherwise null.
  returned: always
  type: str
  sample: null
healthy:
  description: Whether no instance has a problem, and the health was checked.
  returned: always
  type: bool
  sample: true
health_checked:
  description: Whether the health page, the summary or a probe was checked. V(false) also if no
    program runs.
  returned: always
  type: bool
  sample: true
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    FATAL,
    message,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import user_name
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import used
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import systemd
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    InstanceNameError,
    instance_name,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    layout,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import release
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.mounts import silent
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.writes import (
    instance_problems,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.health import (
    ask,
    problems,
    token_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.namespace import (
    with_namespace,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.pipeline import (
    Judgement,
    judged,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.probes import Probes
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.state import State

#: seconds
TIMEOUT = 5
MAX_CLOCK_OFFSET = 5.0


def report(state: State) -> dict[str, Any]:
    """The state of one instance."""
    found = state.findings + (instance_problems(state.places) if state.installed else [])
    return {
        "name": state.places["instance"],
        "release": state.release,
        "processes": state.processes,
        "config": state.places["supervisord_conf"],
        "unreachable": state.unreachable,
        "has_ill_programs": not all(item["healthy"] for item in state.processes),
        "problems": [message(item) for item in found],
        "notes": [],
    }


def health_problems(
    state: State, options: Mapping[str, Any]
) -> tuple[bool, list[str], Judgement | None]:
    """(whether there was something to ask, what the monitor reports and the failed probes, the
    judgement of a central monitor)."""
    ca_file, components = state.places["ca_file"], options["components"]
    token = token_of(state.places["supervisord_conf"])
    central = None
    found = []
    if options["health_url"]:
        url = with_namespace(options["health_url"], state.places["supervisord_conf"])
        found += problems(*ask(url, ca_file, token), components)
    if options["summary_url"]:
        central, lines = judged(options["summary_url"], ca_file, token, state.processes, components)
        found += lines
    probes = Probes(options["probes"], components, ca_file)
    found += [message(item) for _name, item in probes.findings(state.client, state.processes)]
    return bool(options["health_url"] or probes.asked or central), found, central


def not_lingering(options: Mapping[str, Any]) -> str | None:
    """The login whose programs systemd does not start, in user scope; None if that is different, or
    wanted."""
    if options["scope"] == "system" or not options["expects_lingering"] or systemd.lingers():
        return None
    return user_name(os.geteuid()) if systemd.version() else None


def of_services(state: State, options: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(problems, what is not verified) of the services that the instance uses."""
    items = []
    for item in options["reach"]:
        secret = Path(state.places["secrets_dir"], item["secret"].replace("swf_testbed_", "", 1))
        if item["secret"] and os.access(secret, os.R_OK):
            password = secret.read_text(encoding="utf-8").rstrip("\n")
            items.append(dict(item, password=password, instance=state.places["instance"]))
    found = used.examine(items, TIMEOUT, 0, MAX_CLOCK_OFFSET)
    fatal = [message(item) for item in found if item["severity"] == FATAL]
    return fatal, [message(item) for item in found if item["severity"] != FATAL]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "list", "elements": "str", "required": True},
            "scope": {"type": "str", "choices": ["user", "system"], "default": "user"},
            "health_url": {"type": "str"},
            "summary_url": {"type": "str", "default": ""},
            "expects_lingering": {"type": "bool", "default": False},
            "probes": {"type": "list", "elements": "dict", "default": []},
            "components": {"type": "list", "elements": "dict", "default": []},
            "reach": used.OPTION,
        },
        supports_check_mode=True,
    )
    try:
        names = [instance_name(name, "instances") for name in module.params["instances"]]
    except InstanceNameError as error:
        module.fail_json(msg=str(error))
    options = module.params
    lingering = not_lingering(options)
    places = [layout(name, options["scope"], environment_of_login()) for name in names]
    texts = [text for item in places for text in silent(item)]
    if texts:
        module.fail_json(msg=" ".join(texts))
    states = [State(item) for item in places]
    found = [report(state) for state in states]
    checked, central = False, None
    # if its daemon is down, the monitor was reported already
    if states and states[-1].processes:
        checked, lines, central = health_problems(states[-1], options)
        found[-1]["problems"] += lines
        unfit, found[-1]["notes"] = of_services(states[-1], options)
        found[-1]["problems"] += unfit
    if not module.check_mode:
        # the last call of a run
        release()
    module.exit_json(
        changed=False,
        instances=found,
        healthy=checked and not any(item["problems"] for item in found),
        health_checked=checked,
        central=central._asdict() if central else None,
        lingering=lingering,
    )


if __name__ == "__main__":
    main()
