#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status_report
short_description: Print one table of what runs on all hosts, and fail if something is not well
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Takes what M(bnlnpps.swf_testbed.testbed_info) returned for each host and prints it as one
    table.
  - Fails with one line per problem when a host could not be reached, an instance is down, or a
    program is not well.
  - Runs on the controller and touches no host. Use it with C(run_once).
options:
  variable:
    description: Name of the variable that M(bnlnpps.swf_testbed.testbed_info) was registered in.
    type: str
    required: true
  logs:
    description:
      - Name of the variable that M(bnlnpps.swf_testbed.supervisor_info) was registered in, in a
        loop over instances with programs that are not well. The ends of their logs are shown.
    type: str
  hosts:
    description: The hosts that were asked, those that did not answer among them.
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
    description: Never changes anything. In check mode it does not fail.
  action:
    support: full
    description: Has a corresponding action plugin.
"""

EXAMPLES = r"""
- name: Show what runs
  bnlnpps.swf_testbed.status_report:
    variable: swf_testbed_info
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
healthy:
  description: Whether all is well.
  returned: always
  type: bool
  sample: true
"""
