#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: missing_hosts
short_description: End a run in which a host is missing
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Ansible continues without a host that failed or is unreachable. If programs then switch to the
    new configuration, they may lack a service of that host.
  - Fails if a host of the play is missing. The message contains the host, the cause, and the command
    that excludes it.
  - A limited number of hosts that only run agents may be unreachable.
  - Runs on the controller and contacts no host. Use it with C(run_once), as the last task of a
    play. A failure then ends the run.
options:
  max_unreachable:
    description: Number of hosts that may be unreachable, if they are in the group C(agents) and in no
      group of services.
    type: int
    default: 0
  failure:
    description: Why this host failed, for a C(rescue). The task then fails with this text and the
      command that excludes the host.
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
  description: The missing hosts that are permitted.
  returned: success
  type: list
  elements: str
  sample: [worker7]
msg:
  description: The missing hosts, the cause for each, and the command that excludes them.
  returned: on failure
  type: str
  sample: |-
    1 host is missing, and the run ends before any program switches to the new configuration. Running programs are unchanged.
    - worker7: this host cannot be reached. Evidence: ssh: No route to host. Fix: Check that it is up
    Then run the same command again. To continue without it: ansible-playbook site.yml -i lab --limit 'all:!worker7'
"""
