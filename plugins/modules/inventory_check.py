#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_check
short_description: Refuse an inventory that cannot work, before any host is contacted
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Checks the variables of all hosts of the play against the argument specifications of the roles
    that they get, and against each other. Names, types, ports, addresses, URLs, TLS, secrets,
    programs, files and paths.
  - Reports all problems of all hosts at once, each with the variable, its value and the fix. Values
    of secrets are not shown.
  - Runs on the controller, contacts no host and generates no secret. Use it with C(run_once), as
    the first task of a play.
  - When there is no problem, it places the CA that a team shares in the variable
    C(swf_testbed_lab_ca), and the certificates that were issued, in the directory
    C(swf_testbed_controller_dir) of the controller. What is there stays, but for a certificate of
    the same CA that ends earlier. A directory that has another CA is refused.
options:
  parts:
    description: What to check. A playbook that only stops programs has no use for a file that only
      an installation reads.
    type: list
    elements: str
    choices: [types, collections, names, versions, numbers, addresses, secrets, programs, files,
      paths, sources]
    default: [types, collections, names, versions, numbers, addresses, secrets, programs, files,
      paths, sources]
attributes:
  check_mode:
    support: full
    description: Places nothing.
  diff_mode:
    support: none
    description: There is nothing to show.
  action:
    support: full
    description: Has a corresponding action plugin.
"""

EXAMPLES = r"""
- name: Check the inventory
  bnlnpps.swf_testbed.inventory_check:
  run_once: true

- name: See that no name is misspelled
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
    this inventory cannot be used, and nothing was changed. Evidence: 1 problem. Fix: correct all of it, then run the same
    command again.
    1. swf_testbed_mcp_port is out of the range of ports. Evidence: it is 99999. Fix: write a whole number from 1 to 65535
placed:
  description: Paths of the files on the controller that were placed. No host has another
    certificate by it, so it is no change.
  returned: on success
  type: list
  elements: str
  sample: [/home/me/.local/share/swf-testbed-controller/ca/ca.pem]
"""
