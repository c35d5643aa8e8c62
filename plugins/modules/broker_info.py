#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: broker_info
short_description: Read the queues of the broker
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Reads the messages and the readers of all queues of the broker of this host.
  - A broker that does not answer is in the result and is not a failure.
extends_documentation_fragment:
  - bnlnpps.swf_testbed.broker
  - bnlnpps.swf_testbed.read_only
"""

EXAMPLES = r"""
- name: Read the queues of the broker
  bnlnpps.swf_testbed.broker_info:
    broker:
      host: 192.0.2.10
      port: 61613
      password_file: /etc/swf-broker/secrets/management
      certificate: /etc/swf-broker/secrets/tls.pem
  register: broker
"""

RETURN = r"""
problem:
  description: Why the broker did not answer. Empty if it answered.
  returned: always
  type: str
  sample: ""
version:
  description: Version of the broker. Empty if it did not answer.
  returned: always
  type: str
  sample: 2.56.0
dead_letters:
  description: Number of messages that the broker gave up or that expired.
  returned: always
  type: int
  sample: 0
queues:
  description: The queues, sorted by address. A subscription to a multicast address is a queue, too.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the queue, or the identifier of a subscription.
      type: str
      sample: processing
    address:
      description: Name of its address.
      type: str
      sample: processing
    routing:
      description: V(anycast) for one reader, V(multicast) for all.
      type: str
      sample: anycast
    messages:
      description: Number of messages, including those that are being delivered.
      type: int
      sample: 3
    delivering:
      description: Number of messages that were sent to a reader and are not acknowledged.
      type: int
      sample: 1
    readers:
      description: Number of readers.
      type: int
      sample: 2
    durable:
      description: Whether it survives a restart of the broker.
      type: bool
      sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service import (
    artemis_queues as queues,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.artemis import (
    SPEC,
    Management,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.stomp import StompError


def main() -> None:
    module = AnsibleModule(
        argument_spec={"broker": {"type": "dict", "required": True, "options": SPEC}},
        supports_check_mode=True,
    )
    try:
        with Management(module.params["broker"]) as management:
            found = queues.queues(management)
            module.exit_json(
                changed=False,
                problem="",
                version=management.call("getVersion"),
                dead_letters=queues.dead_letters(found),
                queues=found,
            )
    except (StompError, OSError) as error:
        module.exit_json(changed=False, problem=str(error), version="", dead_letters=0, queues=[])


if __name__ == "__main__":
    main()
