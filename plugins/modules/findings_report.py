#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: findings_report
short_description: Print what is wrong with all hosts, and fail if something is fatal
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Takes what M(bnlnpps.swf_testbed.host_check) returned for each host, numbers it, and prints
    it with evidence and fix.
  - Knows of all hosts, and judges by that. What is not installed is a warning before the first
    installation, and fatal where other parts of the testbed are installed. That nobody listens is a
    warning where that part is not installed yet.
  - Fails if a finding is fatal.
  - Runs on the controller and touches no host. Use it with C(run_once).
options:
  variable:
    description: Name of the variable that M(bnlnpps.swf_testbed.host_check) was registered in.
    type: str
    required: true
  hosts:
    description: The hosts that were asked.
    type: list
    elements: str
    required: true
  dest:
    description:
      - File on the controller to write the report to as well, as one JSON document. Its directory
        must exist. A new file is made with mode 0600.
      - It has C(made_at), the numbers C(fatal) and C(warnings), and C(hosts), which has for each
        host its C(address), whether it was C(reached), which parts are C(installed), and its
        C(findings) with a C(number), as RV(bnlnpps.swf_testbed.host_check#module:findings).
    type: path
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
attributes:
  action:
    support: full
    description: Has a corresponding action plugin.
"""

EXAMPLES = r"""
- name: Show what is wrong with any host
  bnlnpps.swf_testbed.findings_report:
    variable: host_check
    hosts: "{{ ansible_play_hosts_all }}"
    dest: /tmp/findings.json
  run_once: true
"""

RETURN = r"""
fatal:
  description: Number of fatal findings.
  returned: always
  type: int
  sample: 1
warnings_found:
  description: Number of warnings.
  returned: always
  type: int
  sample: 0
"""
