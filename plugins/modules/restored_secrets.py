#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restored_secrets
short_description: End a failed run with a report on the active secrets
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Fails. The message contains the failure of the host, the secrets that were restored on all hosts
    of the play, and the hosts where this did not succeed.
  - Runs on the controller and contacts no host. It reads what the roles of this collection register
    when they restore the secrets of a host.
options:
  failure:
    description: Why the host failed.
    type: str
    required: true
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
attributes:
  action:
    support: full
    description: Has a corresponding action plugin.
"""

EXAMPLES = r"""
- name: Report the failure and the active secrets
  bnlnpps.swf_testbed.restored_secrets:
    failure: "{{ swf_testbed_gate.gate_failed }}"
  when: inventory_hostname in groups['swf_testbed_gate_failed']
"""

RETURN = r"""
msg:
  description: The failure and the report.
  returned: always
  type: str
  sample: |-
    Apply the configuration of the programs: agent is FATAL

    The secrets that this run changed were restored: broker_password.
    Evidence: their programs were restarted with the former secrets, and run, on services, agents-1.
    Fix: remove the cause and run the same command again, because the inventory has the new secrets; or set the former ones there.
"""
