#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lease
short_description: Hold a host for this run, or release it
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - While a run holds a host, the modules of this collection refuse to change it for another
    controller. The play passes the lease in C(SWF_TESTBED_LEASE), see
    P(bnlnpps.swf_testbed.lease#lookup). Without this variable the module does nothing.
  - Every call of a module that changes the host renews the lease. If a run is interrupted, the same
    controller (name, login and C(swf_testbed_controller_dir)) can take over the host immediately,
    and another one 10 minutes after the last call.
  - The lease is a file that only its owner can access, in C(/run/bnlnpps.swf_testbed) in system
    scope and C(~/.local/state/bnlnpps.swf_testbed) in user scope.
options:
  state:
    description: V(present) holds the host. V(absent) releases it if this run holds it.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Does not hold or release the host.
  diff_mode:
    support: none
    description: The module has no diff.
"""

EXAMPLES = r"""
- name: Release the host
  bnlnpps.swf_testbed.lease:
    state: absent
"""

RETURN = r"""
lease_holder:
  description: The run that holds the host.
  returned: if another controller holds the host
  type: dict
  sample:
    controller: ctl1
    directory: /home/alice/.local/share/swf-testbed-controller
    login: alice
    run: ansible-local-4711k2v9x0wd
    since: "2026-11-30 04:00:12"
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold, release


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"}
        },
        supports_check_mode=True,
    )
    if module.params["state"] == "present":
        hold(module)
    elif not module.check_mode:
        release()
    # the lease does not count as a change of the host
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
