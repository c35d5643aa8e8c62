#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: findings_report
short_description: Print the findings of all hosts, and fail if one is fatal
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Prints the numbered findings of M(bnlnpps.swf_testbed.host_check) for each host, with evidence
    and fix.
  - Combines the findings of all hosts. A part that is not installed is a warning before the first
    installation, and fatal if other parts of the testbed are installed. A port on which nothing
    listens is a warning if that part is not installed yet.
  - Fails if a finding is fatal.
  - Runs on the controller and touches no host. Use it with C(run_once).
options:
  variable:
    description: Name of the variable with the registered result of
      M(bnlnpps.swf_testbed.host_check).
    type: str
    required: true
  hosts:
    description: The hosts that were checked.
    type: list
    elements: str
    required: true
  dest:
    description:
      - File on the controller for the report, as one JSON document. Its directory must exist. A new
        file has mode 0600.
      - It contains C(made_at), the numbers C(fatal) and C(warnings), and C(hosts), which contains
        for each host its C(address), whether it was C(reached), the C(installed) parts, and its
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
- name: Report the findings of all hosts
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
