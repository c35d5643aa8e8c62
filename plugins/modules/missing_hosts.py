#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: missing_hosts
short_description: End a run that has lost a host
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Ansible goes on without a host that failed or cannot be reached. Before programs are changed
    over to new configuration, that would leave them without a service that they need.
  - Fails if a host of the play is missing, and names it, the cause, and the command that leaves it
    out.
  - Hosts that only run agents may be missing, if they cannot be reached and are few.
  - Runs on the controller and contacts no host. Use it with C(run_once), as the last task of a
    play. A failure then ends the run.
options:
  max_unreachable:
    description: How many hosts of the group C(agents), which are in no group of services, may be
      unreachable.
    type: int
    default: 0
  failure:
    description: Why this host failed, in a C(rescue). The task then fails with it and the command
      that leaves the host out.
    type: str
    default: ""
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
attributes:
  action:
    support: full
    description: Has a corresponding action plugin.
"""

EXAMPLES = r"""
- name: End the run if a host is missing
  bnlnpps.swf_testbed.missing_hosts:
    max_unreachable: "{{ swf_testbed_max_unreachable }}"
  run_once: true
  register: swf_testbed_missing
"""

RETURN = r"""
hosts:
  description: The hosts that are missing and may be.
  returned: success
  type: list
  elements: str
  sample: [worker7]
msg:
  description: The hosts that are missing, why, and the command that leaves them out.
  returned: on failure
  type: str
  sample: |-
    1 host is missing, and the run ends before any program is changed over; all that ran goes on as it was.
    - worker7: this host cannot be reached. Evidence: ssh: No route to host. Fix: See whether it is up
    Then run the same again. To go on without it: ansible-playbook site.yml -i lab --limit 'all:!worker7'
"""
