#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_state
short_description: Ask a host with one call whether a run would do anything
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - At the end of a successful run, it records the state of a host on the controller. At the start of
    the next one, it asks the host once whether it still has this state, and is healthy. If so, the
    roles have nothing to do, and do not run for that host.
  - The state consists of the files of the instances with their content, modes and owners, units,
    links, the active release with all of its files, supervisord, its programs, and the facts that
    the preflight check finds. Secrets are recorded as keyed digests.
  - The roles also run if an input of the run changed. Inputs are the variables of all hosts, the
    files that they name, C(swf_testbed_controller_dir) and the collection.
  - In check mode it asks nothing, and the roles predict the changes.
options:
  state:
    description:
      - With V(asked), compare the host with the record, and put it into the group
        C(swf_testbed_current) or C(swf_testbed_differs). Shows why it differs.
      - With V(recorded), record its state.
    type: str
    choices: [asked, recorded]
    default: asked
  full_run:
    description: Let the roles run on all hosts, without a question.
    type: bool
    default: false
  info:
    description: The arguments of M(bnlnpps.swf_testbed.testbed_info), which is a part of the question.
      Required with O(state=recorded).
    type: dict
    default: {}
notes:
  - The M(bnlnpps.swf_testbed.inventory_check) of the same run saves the inputs.
  - The lookup P(bnlnpps.swf_testbed.differing_hosts#lookup) limits the plays that follow to the hosts
    that differ.
attributes:
  check_mode:
    support: full
    description: Asks nothing, and records nothing.
  diff_mode:
    support: none
    description: It never changes the host.
  action:
    support: full
    description: Runs on the controller, and sends a program of its own to the host.
"""

EXAMPLES = r"""
- name: Ask the hosts for their state
  bnlnpps.swf_testbed.host_state:
    full_run: "{{ swf_testbed_full_run }}"
  register: swf_testbed_info
"""

RETURN = r"""
current:
  description: Whether the roles have nothing to do on the host, and the host is healthy.
  returned: with O(state=asked)
  type: bool
  sample: false
reasons:
  description: What differs.
  returned: with O(state=asked)
  type: list
  elements: str
  sample:
    - /etc/swf-testbed/supervisord.conf has the mode 0666, not 0644
recorded:
  description: Whether the state was recorded. It is not if the run was not a whole one, or if
    something changed in the meantime.
  returned: with O(state=recorded)
  type: bool
  sample: true
instances:
  description: As M(bnlnpps.swf_testbed.testbed_info) returns it, with its other results.
  returned: if RV(current)
  type: list
  elements: dict
"""
