#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status_report
short_description: Print a table of the programs on all hosts, and fail if one is not healthy
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Prints the results of M(bnlnpps.swf_testbed.testbed_info) for all hosts as one table.
  - Fails with one line for each problem, that is an unreachable host, an instance that is down, or a
    program that is not healthy.
  - Reports a healthy testbed only if a health page or a probe was checked. Otherwise it reports
    that the testbed is running and its health was not checked.
  - Runs on the controller and contacts no host. Use it with C(run_once).
options:
  variable:
    description: Name of the variable with the registered result of
      M(bnlnpps.swf_testbed.testbed_info).
    type: str
    required: true
  logs:
    description:
      - Name of the variable with the registered results of M(bnlnpps.swf_testbed.supervisor_info),
        in a loop over instances with unhealthy programs. The ends of their logs are printed.
    type: str
  broker:
    description: Name of the variable with the registered result of
      M(bnlnpps.swf_testbed.broker_info), on hosts that have a broker.
    type: str
  hosts:
    description: The hosts in the report, including those that did not answer.
    type: list
    elements: str
    required: true
  monitor_url:
    description: Address of the monitor's page, for the last line.
    type: str
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
attributes:
  check_mode:
    description: Changes nothing. Does not fail in check mode.
  action:
    support: full
    description: Has a corresponding action plugin.
"""

EXAMPLES = r"""
- name: Report the status
  bnlnpps.swf_testbed.status_report:
    variable: swf_testbed_info
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
healthy:
  description: Whether there is no problem, and the health of a host was checked.
  returned: always
  type: bool
  sample: true
health_checked:
  description: Whether the health page or a probe of a host was checked.
  returned: always
  type: bool
  sample: true
"""
