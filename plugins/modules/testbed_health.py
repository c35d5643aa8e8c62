#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: testbed_health
short_description: Check the health of the testbed, and wait until it is healthy
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Queries the health page of swf-monitor. It reports whether the database answers, the message
    listener is subscribed and receives messages, and every known agent is alive. A process can be
    RUNNING and deadlocked; this page shows it.
  - An agent of another host that is not alive is a warning, and RV(healthy) is then false; programs
    of this host are not the cause.
  - With O(programs) and O(flow), waits for evidence that programs do their work.
  - Fails with each problem and the log that has its details.
options:
  url:
    description: Address of the health page. Empty to check O(programs) only.
    type: str
    default: ""
  summary_url:
    description: Address of the monitor's summary, for O(programs) and O(flow).
    type: str
  programs:
    description:
      - Programs of this host, as in RV(bnlnpps.swf_testbed.supervisor_program#module:after).
      - The monitor must have a heartbeat from each running program whose name ends with C(-agent),
        sent since its process started. The heartbeat shows that the agent has a broker.
      - The name of an agent is C(SWF_AGENT_NAME), or its type and the name of the host.
    type: dict
    default: {}
  flow:
    description: Whether to wait until one more file is registered, and one more is processed.
    type: bool
    default: false
  ca_cert:
    description: File of the CA certificates to verify the monitor with. The default, also if the
      file does not exist, is those of the host.
    type: path
  timeout:
    description: Seconds to wait until it is healthy. V(0) queries once.
    type: float
    default: 0
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
attributes:
  check_mode:
    description: Never changes anything. In check mode it queries once, and an unhealthy testbed is
      no failure.
"""

EXAMPLES = r"""
- name: Wait until the testbed is healthy
  bnlnpps.swf_testbed.testbed_health:
    url: http://127.0.0.1:8002/api/health/
    timeout: 60

- name: Wait until the started programs do their work
  bnlnpps.swf_testbed.testbed_health:
    url: http://127.0.0.1:8002/api/health/
    summary_url: http://127.0.0.1:8002/api/summary/
    programs: "{{ applied.after }}"
    flow: true
    timeout: 60
"""

RETURN = r"""
healthy:
  description: Whether the monitor reports no problem, and the conditions of O(programs) and O(flow)
    are met.
  returned: always
  type: bool
  sample: true
health:
  description: The answer of the monitor.
  returned: when the monitor answered
  type: dict
  sample:
    status: ok
    database: {ok: true}
    listener: {ok: true, subscribed: true}
"""

import socket
import time
from collections.abc import Mapping
from typing import Any

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
    """A query with the module's options. It stores the first summary, the base for counting files.

    :ivar answer: the last answer of the health page.
    :ivar elsewhere: problems of other hosts.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.answer: dict[str, Any] | None = None
        self.first: dict[str, Any] | None = None
        self.elsewhere: list[str] = []

    def problems(self) -> list[str]:
        """One line for each problem."""
        options = self.options
        found: list[str] = []
        if options["url"]:
            self.answer, wrong = ask(options["url"], options["ca_cert"])
            found += self.health_problems(wrong)
        mine = agents(options["programs"])
        if mine or options["flow"]:
            summary, wrong = ask_summary(options["summary_url"], options["ca_cert"])
            if summary is None:
                return [*found, str(wrong)]
            found += [problem for problem in (agent.problem(summary) for agent in mine) if problem]
            if options["flow"]:
                self.first = self.first or summary
                found += stalled(self.first, summary)
        return found

    def health_problems(self, wrong: str | None) -> list[str]:
        """The problems that the monitor reports. Agents of this host that are in C(programs) have a
        closer check of their own."""
        self.elsewhere = []
        if not self.answer or self.answer.get("status") == "ok":
            return problems(self.answer, wrong)
        silent, here = silent_agents(self.answer), "@" + socket.gethostname()
        mine = {name for name in silent if name.endswith(here) and not self.options["programs"]}
        self.elsewhere = [line for name, line in silent.items() if name not in mine]
        return causes(self.answer) + [silent[name] for name in silent if name in mine]


def main() -> None:
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
            msg="programs and flow need summary_url. Fix: give the address of the monitor's summary."
        )
    deadline = time.monotonic() + (0 if module.check_mode else module.params["timeout"])
    while True:
        found = question.problems()
        if not found or time.monotonic() >= deadline:
            break
        time.sleep(0.25)
    result: dict[str, Any] = {"changed": False, "healthy": not found and not question.elsewhere}
    for line in question.elsewhere:
        module.warn(line)
    if question.answer:
        result["health"] = question.answer
    if found and not module.check_mode:
        module.fail_json(
            msg="The testbed is not healthy. Evidence from %s:\n%s"
            % (module.params["url"] or module.params["summary_url"], "\n".join(found)),
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
