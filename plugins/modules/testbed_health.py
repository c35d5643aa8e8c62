#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: testbed_health
short_description: Ask the testbed's monitor whether it is healthy, and wait until it is
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Asks the health page of swf-monitor, which tells whether the database answers and whether the message listener is
    subscribed and fresh. A process can be RUNNING and dead inside; this sees it.
  - Fails with what is wrong and where to look.
options:
  url:
    description: Address of the health page.
    type: str
    required: true
  ca_cert:
    description: File of the CA certificates that the page is believed by. Where there is no such file, the host's are taken.
    type: path
  timeout:
    description: Seconds to wait until it is healthy. V(0) asks once.
    type: float
    default: 0
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
attributes:
  check_mode:
    description: Never changes anything. In check mode it asks once, and an unhealthy testbed is no failure.
"""

EXAMPLES = r"""
- name: Wait until the testbed is healthy
  bnlnpps.swf_testbed.testbed_health:
    url: http://127.0.0.1:8002/api/health/
    timeout: 60
"""

RETURN = r"""
healthy:
  description: Whether the monitor says that all is well.
  returned: always
  type: bool
  sample: true
health:
  description: The monitor's answer.
  returned: when the monitor answered
  type: dict
  sample:
    status: ok
    database: {ok: true}
    listener: {ok: true, subscribed: true}
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._health import ask, problems


def main():
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "ca_cert": {"type": "path"},
            "timeout": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    url = module.params["url"]
    deadline = time.monotonic() + (0 if module.check_mode else module.params["timeout"])
    while True:
        answer, wrong = ask(url, module.params["ca_cert"])
        found = problems(answer, wrong)
        if not found or time.monotonic() >= deadline:
            break
        time.sleep(0.25)
    result = {"changed": False, "healthy": not found}
    if answer:
        result["health"] = answer
    if found and not module.check_mode:
        module.fail_json(msg="the testbed is not healthy, says %s:\n%s" % (url, "\n".join(found)), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
