#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_check
short_description: Check the inventory before any host is contacted
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Checks the variables of all hosts of the play against the argument specifications of their
    roles, and against each other. Names, types, ports, addresses, URLs, TLS, secrets, programs,
    files and paths.
  - Reports all problems of all hosts at once, each with the variable, its value and the fix. Values
    of secrets are not shown.
  - Runs on the controller, contacts no host and generates no secret. Use it with C(run_once), as
    the first task of a play.
  - If there is no problem, it writes the CA that a team shares in the variable
    C(swf_testbed_lab_ca), and its issued certificates, to the directory
    C(swf_testbed_controller_dir) of the controller. Of existing files, it replaces only
    certificates of the same CA that expire earlier. It refuses a directory with another CA.
options:
  parts:
    description: The parts of the check. For example, a playbook that only stops programs need not
      check the files that only an installation reads.
    type: list
    elements: str
    choices: [types, collections, names, versions, numbers, addresses, secrets, programs, files,
      paths, sources]
    default: [types, collections, names, versions, numbers, addresses, secrets, programs, files,
      paths, sources]
attributes:
  check_mode:
    support: full
    description: Writes no file.
  diff_mode:
    support: none
    description: The module has no diff.
  action:
    support: full
    description: Has a corresponding action plugin.
"""

EXAMPLES = r"""
- name: Check the inventory
  bnlnpps.swf_testbed.inventory_check:
  run_once: true

- name: Check for misspelled names
  bnlnpps.swf_testbed.inventory_check:
    parts: [names]
  run_once: true
"""

RETURN = r"""
msg:
  description: All problems, one per line and numbered.
  returned: on failure
  type: str
  sample: |-
    this inventory cannot be used, and nothing was changed. Evidence: 1 problem. Fix: correct it, then run the same command
    again.
    1. swf_testbed_mcp_port is not a port number. Evidence: it is 99999. Fix: write a whole number from 1 to 65535
placed:
  description: Paths of the files that were written on the controller. They do not count as a change,
    because no host gets another certificate.
  returned: on success
  type: list
  elements: str
  sample: [/home/me/.local/share/swf-testbed-controller/ca/ca.pem]
"""
