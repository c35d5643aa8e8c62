#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: testbed_health
short_description: Ask the testbed's monitor whether it is healthy, and wait until it is
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Asks the health page of swf-monitor, which tells whether the database answers and whether the
    message listener is subscribed and fresh, and whether every agent that is known is alive. A
    process can be RUNNING and dead inside; this sees it.
  - An agent of another host that is not alive is a warning, and RV(healthy) is then false; what was
    started here is not at fault.
  - With O(programs) and O(flow), waits for proof that programs do their work.
  - Fails with what is wrong and where to look.
options:
  url:
    description: Address of the health page. Empty on a host that only asks for O(programs).
    type: str
    default: ""
  summary_url:
    description: Address of the monitor's summary, for O(programs) and O(flow).
    type: str
  programs:
    description:
      - Programs of this host, as RV(bnlnpps.swf_testbed.supervisor_program#module:after) has them.
        Of each whose name ends on C(-agent) and that runs, the monitor must have had a heartbeat
        since its process was started, which says that it has a broker.
      - The agent is found by its name, C(SWF_AGENT_NAME) or the type and the name of the host.
    type: dict
    default: {}
  flow:
    description: Whether to wait until a further file was registered, and a further one processed.
    type: bool
    default: false
  ca_cert:
    description: File of the CA certificates that the page is believed by. Where there is no such
      file, the host's are taken.
    type: path
  timeout:
    description: Seconds to wait until it is healthy. V(0) asks once.
    type: float
    default: 0
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
attributes:
  check_mode:
    description: Never changes anything. In check mode it asks once, and an unhealthy testbed is no
      failure.
"""

EXAMPLES = r"""
- name: Wait until the testbed is healthy
  bnlnpps.swf_testbed.testbed_health:
    url: http://127.0.0.1:8002/api/health/
    timeout: 60

- name: See that what was just started does its work
  bnlnpps.swf_testbed.testbed_health:
    url: http://127.0.0.1:8002/api/health/
    summary_url: http://127.0.0.1:8002/api/summary/
    programs: "{{ applied.after }}"
    flow: true
    timeout: 60
"""

RETURN = r"""
healthy:
  description: Whether the monitor says that all is well, and what was asked for beside it was seen.
  returned: always
  type: bool
  sample: true
health:
  description: The monitor's answer.
  returned: when the monitor answered
  type: dict
  sample:
    status: ok
    database: {ok: true}
    listener: {ok: true, subscribed: true}
"""

import socket
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.health import (
    ask,
    ask_summary,
    causes,
    problems,
    silent_agents,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.pipeline import (
    agents,
    stalled,
)


class Question:
    """What is asked for; kept between two looks is the first summary, which files are counted
    from."""

    def __init__(self, options):
        self.options = options
        self.answer = self.first = None
        self.elsewhere = []

    def problems(self):
        """What is not well, as lines."""
        options, found = self.options, []
        if options["url"]:
            self.answer, wrong = ask(options["url"], options["ca_cert"])
            found += self.health_problems(wrong)
        mine = agents(options["programs"])
        if mine or options["flow"]:
            summary, wrong = ask_summary(options["summary_url"], options["ca_cert"])
            if wrong:
                return [*found, wrong]
            found += [problem for problem in (agent.problem(summary) for agent in mine) if problem]
            if options["flow"]:
                self.first = self.first or summary
                found += stalled(self.first, summary)
        return found

    def health_problems(self, wrong):
        """What the monitor says is not well. Of the agents here, those that were given are looked
        at more closely."""
        self.elsewhere = []
        if not self.answer or self.answer.get("status") == "ok":
            return problems(self.answer, wrong)
        silent, here = silent_agents(self.answer), "@" + socket.gethostname()
        mine = {name for name in silent if name.endswith(here) and not self.options["programs"]}
        self.elsewhere = [line for name, line in silent.items() if name not in mine]
        return causes(self.answer) + [silent[name] for name in silent if name in mine]


def main():
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": ""},
            "summary_url": {"type": "str"},
            "programs": {"type": "dict", "default": {}},
            "flow": {"type": "bool", "default": False},
            "ca_cert": {"type": "path"},
            "timeout": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    question = Question(module.params)
    if (module.params["programs"] or module.params["flow"]) and not module.params["summary_url"]:
        module.fail_json(
            msg="programs and flow need summary_url, the address of the monitor's summary."
        )
    deadline = time.monotonic() + (0 if module.check_mode else module.params["timeout"])
    while True:
        found = question.problems()
        if not found or time.monotonic() >= deadline:
            break
        time.sleep(0.25)
    result = {"changed": False, "healthy": not found and not question.elsewhere}
    for line in question.elsewhere:
        module.warn(line)
    if question.answer:
        result["health"] = question.answer
    if found and not module.check_mode:
        module.fail_json(
            msg="the testbed is not healthy, says %s:\n%s"
            % (module.params["url"] or module.params["summary_url"], "\n".join(found)),
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
