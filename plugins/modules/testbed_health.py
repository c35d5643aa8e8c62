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
    listener is subscribed and receives messages, and every registered agent is alive. A process can
    be RUNNING and deadlocked; this page shows it.
  - Queries the probes of the stack, too, if it has any. Then a program that does not run is a
    problem, and the module reports it at once if supervisord has given up on it.
  - An agent of another host that is not alive is a warning, and RV(healthy) is then false; programs
    of this host are not the cause.
  - With O(programs) and O(flow), waits for evidence that programs do their work.
  - Fails with each problem and the log that has its details.
options:
  url:
    description: Address of the health page. Empty for a stack without one.
    type: str
    default: ""
  summary_url:
    description: Address of the monitor's summary, for O(programs) and O(flow).
    type: str
  programs:
    description:
      - Programs of this host, as in RV(bnlnpps.swf_testbed.supervisor_program#module:after).
      - The monitor must have a heartbeat from each running program with the role V(agent) in
        O(components), sent since its process started. The heartbeat shows that the agent has a
        broker.
      - The name of an agent is C(SWF_AGENT_NAME), or its type and the name of the host.
    type: dict
    default: {}
  flow:
    description: Whether to wait until one more file is registered and one more is processed, with
      O(summary_url), and until the values of O(probes) with C(grows) have grown.
    type: bool
    default: false
  config:
    description:
      - Configuration of the supervisord of this host, for O(probes).
      - The file C(secrets/api_token) in its directory has the token for a monitor that requires a
        login. Only O(url) and O(summary_url) get it, and no server to which they redirect.
    type: path
  probes:
    description: The probes of this host, as C(health.probes) in a stack file.
    type: list
    elements: dict
    default: []
  components:
    description: The programs of the stack, each with C(name), C(role), and C(start_timeout), the
      seconds to wait for it instead of O(timeout).
    type: list
    elements: dict
    default: []
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
    components:
      - name: data-agent
        role: agent
    flow: true
    timeout: 60

- name: Wait until the API of another monitor lists the agents of this host
  bnlnpps.swf_testbed.testbed_health:
    config: /etc/swf-testbed/supervisord.conf
    components:
      - name: monitor
        role: monitor
        start_timeout: 120
      - name: example-data-agent
        role: agent
    probes:
      - name: agents
        component: monitor
        url: http://127.0.0.1:8002/api/systemagents/
        agents:
          path: ""
          name: instance_name
          heartbeat: last_heartbeat
    timeout: 60
"""

RETURN = r"""
healthy:
  description: Whether the monitor reports no problem, the probes pass, and the conditions of
    O(programs) and O(flow) are met. V(false) if none of this was checked.
  returned: always
  type: bool
  sample: true
checked:
  description: Whether there was a health page, a probe of a running program, or another condition.
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

import time
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import message
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.health import (
    ask,
    ask_summary,
    causes,
    problems,
    set_aside,
    silent_agents,
    token_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.namespace import (
    with_namespace,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.pipeline import (
    agents,
    on_this_host,
    stalled,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.probes import Probes
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.state import of_program
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.address import (
    local_endpoint,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.logs import (
    add_tails,
    report,
)

LOG_BYTES = 2000


class Question:
    """A query with the module's options. It stores the first answers, the base for counting.

    :ivar answer: the last answer of the health page.
    :ivar elsewhere: problems of other hosts.
    :ivar limits: seconds to wait for the programs that need another time than the others.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.answer: dict[str, Any] | None = None
        self.first: dict[str, Any] | None = None
        self.elsewhere: list[str] = []
        self.token = token_of(options["config"])
        self.probes = Probes(options["probes"], options["components"], options["ca_cert"])
        self.limits = {
            item["name"]: float(item["start_timeout"])
            for item in options["components"]
            if item.get("start_timeout")
        }

    def checked(self) -> bool:
        """Whether there was something to check."""
        options = self.options
        return self.probes.asked or any(options[name] for name in ("url", "programs", "flow"))

    def problems(self) -> Iterator[tuple[float, str]]:
        """(seconds to wait for its end, text) of each problem."""
        usual: float = self.options["timeout"]
        for line in self.monitor_problems():
            yield usual, line
        if self.options["probes"]:
            yield from self.probe_problems(usual)

    def monitor_problems(self) -> list[str]:
        """One line for each problem that the health page and the summary of the monitor have."""
        options = self.options
        found: list[str] = []
        if options["url"]:
            url = with_namespace(options["url"], options["config"])
            self.answer, wrong = ask(url, options["ca_cert"], self.token)
            found += self.health_problems(wrong)
        mine = agents(options["programs"], options["components"])
        if options["summary_url"] and (mine or options["flow"]):
            summary, wrong = ask_summary(options["summary_url"], options["ca_cert"], self.token)
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
        components = self.options["components"]
        if not self.answer or self.answer.get("status") == "ok":
            return problems(self.answer, wrong, components)
        silent = silent_agents(self.answer, components)
        mine = {name for name in silent if on_this_host(name) and not self.options["programs"]}
        self.elsewhere = [line for name, line in silent.items() if name not in mine]
        # not the fault of this host: a gate that failed because of them would stop every upgrade
        self.elsewhere += set_aside(self.answer)
        return causes(self.answer, components) + [silent[name] for name in silent if name in mine]

    def probe_problems(self, usual: float) -> Iterator[tuple[float, str]]:
        """The programs that do not run, and the probes that do not pass."""
        try:
            client = Client(local_endpoint(self.options["config"]))
            snapshot = client.snapshot()
            processes = report(client, snapshot, snapshot.processes)
            ended = [item for item in processes if not item["healthy"]]
            add_tails(client, ended, LOG_BYTES)
            found = self.probes.findings(client, processes, self.options["flow"])
        except SupervisorError as error:
            yield usual, error.message
            return
        for item in ended:
            # supervisord does not start it again
            given_up = item["state_code"] == status.FATAL
            limit = 0 if given_up else self.limits.get(item["name"], usual)
            yield limit, message(of_program(item))
        for program, problem in found:
            yield self.limits.get(program, usual), message(problem)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "default": ""},
            "summary_url": {"type": "str"},
            "programs": {"type": "dict", "default": {}},
            "flow": {"type": "bool", "default": False},
            "config": {"type": "path"},
            "probes": {"type": "list", "elements": "dict", "default": []},
            "components": {"type": "list", "elements": "dict", "default": []},
            "ca_cert": {"type": "path"},
            "timeout": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    options = module.params
    question = Question(options)
    if (options["programs"] or options["flow"]) and not (
        options["summary_url"] or options["probes"]
    ):
        module.fail_json(
            msg="programs and flow need summary_url or probes. Fix: give the address of the "
            "monitor's summary."
        )
    if options["probes"] and not options["config"]:
        module.fail_json(msg="probes need config. Fix: give the path of supervisord.conf.")
    once = module.check_mode or not options["timeout"]
    began = time.monotonic()
    while True:
        found = list(question.problems())
        waited = time.monotonic() - began
        # one that nothing ends any more is enough to fail
        if not found or once or any(waited >= limit for limit, _line in found):
            break
        time.sleep(0.25)
    checked = question.checked()
    result: dict[str, Any] = {
        "changed": False,
        "checked": checked,
        "healthy": checked and not found and not question.elsewhere,
    }
    for line in question.elsewhere:
        module.warn(line)
    if question.answer:
        result["health"] = question.answer
    if found and not module.check_mode:
        where = options["url"] or options["summary_url"]
        module.fail_json(
            msg="The testbed is not healthy. Evidence%s:\n%s"
            % (" from %s" % where if where else "", "\n".join(line for _limit, line in found)),
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
