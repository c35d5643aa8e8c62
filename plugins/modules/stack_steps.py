#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_steps
short_description: Run the steps of a stack, once per release
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Runs commands of a release in their order, before its programs start, as their user and with the
    environment, the directory and the secrets that O(config) gives to the program of the component.
    A secret that the program reads from a file is in a private copy, which is removed afterwards.
    In addition, a step has the variable C(SWF_STEP), as C(COMPONENT/NAME).
  - Records in C(steps.json), next to O(config), which steps are done, for each release. A step runs
    again when its command, its environment or one of its secrets changes. While the release is not
    active, all of its steps run at each attempt. So a step must be able to run twice. The record of
    steps that are not in O(steps) does not change.
  - If a step fails, the following ones do not run.
  - No secret is in an argument or a result.
extends_documentation_fragment:
  - bnlnpps.swf_testbed.private_servers
options:
  config:
    description: Path of C(supervisord.conf), which is for O(release) already.
    type: path
    required: true
  release:
    description: Directory of the release.
    type: path
    required: true
  user:
    description: The user that runs the programs, if it is another one.
    type: str
    default: ""
  steps:
    description: The steps.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the step.
        type: str
        required: true
      component:
        description: Name of the program in O(config).
        type: str
        required: true
      command:
        description: Command line. A first word without a slash is a program of the release.
        type: str
        required: true
      unless:
        description: Command line. If it exits with 0, the step is not needed and counts as done.
        type: str
        default: ""
      timeout:
        description: Seconds until a command of the step, with all processes of its group, is ended and the
          step counts as failed.
        type: int
        default: 300
      input_secret:
        description: Name of a secret that the command reads from its standard input, with a line break.
        type: str
        default: ""
      rollback:
        description: Whether it replaces the result of other releases, so that it is no longer done for them. A
          rollback runs these steps of the restored release, and no others.
        type: bool
        default: false
  log_tail:
    description: Characters of the output of a command to return. Secrets are removed from it.
    type: int
    default: 2000
attributes:
  check_mode:
    support: partial
    description: Runs nothing, and predicts which steps are due.
    details: It does not predict that one is due because the same run would change its environment or
      a secret.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Migrate the tables of the monitor
  bnlnpps.swf_testbed.stack_steps:
    config: /etc/swf-testbed/supervisord.conf
    release: "{{ swf_testbed_release.path }}"
    user: swf-testbed
    steps:
      - name: migrate
        component: monitor
        command: my-manage migrate --noinput
        timeout: 600
"""

RETURN = r"""
steps:
  description: The steps until the first that failed.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the step.
      type: str
      sample: migrate
    result:
      description: V(ran); V(unneeded) according to O(steps[].unless); V(recorded) if it was done before; V(due)
        in check mode.
      type: str
      sample: ran
    output:
      description: The end of the output of its command.
      returned: if a command ran
      type: str
      sample: No migrations to apply.
  sample:
    - name: migrate
      result: ran
      output: No migrations to apply.
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.modes import set_umask
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.turn import STEPS, turn
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.secrets import Scrubber
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.private_servers import (
    OPTION,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.steps import (
    StepError,
    Steps,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "path", "required": True},
            "release": {"type": "path", "required": True},
            "user": {"type": "str", "default": ""},
            "steps": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "component": {"type": "str", "required": True},
                    "command": {"type": "str", "required": True},
                    "unless": {"type": "str", "default": ""},
                    "timeout": {"type": "int", "default": 300},
                    # the name of a secret
                    "input_secret": {"type": "str", "default": "", "no_log": False},
                    "rollback": {"type": "bool", "default": False},
                },
            },
            "services": OPTION,
            "log_tail": {"type": "int", "default": 2000},
        },
        supports_check_mode=True,
    )
    hold(module)
    set_umask()
    options = module.params
    steps = Steps(
        options["config"],
        options["release"],
        options["user"],
        options["services"],
        Scrubber(),
        options["log_tail"],
        module.check_mode,
    )
    try:
        # two runs of one controller may overlap; the second waits and finds the record
        with contextlib.ExitStack() as stack:
            if not module.check_mode:
                stack.enter_context(turn(STEPS, sum(step["timeout"] for step in options["steps"])))
            steps.run(options["steps"])
    except (StepError, ConfigError) as error:
        module.fail_json(msg=str(error), steps=steps.results)
    except (OSError, ValueError) as error:
        module.fail_json(
            msg="The steps of the stack did not run. Evidence: %s. Fix: remove the cause, then run "
            "site.yml again" % error,
            steps=steps.results,
        )
    module.exit_json(
        changed=any(item["result"] in ("ran", "due") for item in steps.results),
        steps=steps.results,
    )


if __name__ == "__main__":
    main()
