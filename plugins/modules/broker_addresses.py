#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: broker_addresses
short_description: Declare addresses in the broker
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Creates addresses with their routing type in the running broker of this host, and the queue of each
    anycast address. The broker stores them.
  - Changes the routing type of an existing address only if no message waits in it and no reader is
    connected to it with the former type. Otherwise the module fails before the first change, and
    reports the numbers. Other addresses are never changed, and no messages are removed.
options:
  addresses:
    description: The addresses, each with its C(name) without a prefix, and its C(routing), V(anycast) for
      one reader of each message or V(multicast) for all. Further keys are ignored.
    type: list
    elements: dict
    required: true
extends_documentation_fragment:
  - bnlnpps.swf_testbed.broker
attributes:
  check_mode:
    support: full
    description: Predicts the changes, and fails if a routing type could not be changed. If the broker
      does not answer, for example before its installation, all addresses count as missing.
  diff_mode:
    support: none
    description: The result lists the changes.
"""

EXAMPLES = r"""
- name: Declare the addresses of the testbed
  bnlnpps.swf_testbed.broker_addresses:
    broker:
      host: 127.0.0.1
      port: 61613
      password_file: /etc/swf-broker/secrets/management
    addresses:
      - name: slices
        routing: anycast
      - name: epictopic
        routing: multicast
"""

RETURN = r"""
missing:
  description: The addresses that were created or whose routing type was changed, in check mode the
    predicted ones.
  returned: always
  type: list
  elements: str
  sample: [slices]
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.artemis import (
    SPEC,
    Management,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.artemis_queues import (
    queues,
    routings,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.stomp import StompError


class RoutingInUseError(Exception):
    """The routing type of an address cannot be changed."""


def others(item: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The queues of an address that have another routing type than the declared one."""
    return [
        queue
        for queue in found
        if queue["address"] == item["name"] and queue["routing"] != item["routing"]
    ]


def refusal(item: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> str:
    """Why the routing type of an address cannot be changed; empty if it can."""
    wrong = others(item, found)
    waiting, readers = (sum(queue[key] for queue in wrong) for key in ("messages", "readers"))
    if not waiting and not readers:
        return ""
    return (
        "the routing type of the address %s cannot become %s. Evidence: it is %s now, %d messages "
        "wait in it, and %d readers are connected to it. Fix: stop the senders, let the readers "
        "read all messages, stop the readers, and run again"
    ) % (item["name"], item["routing"], wrong[0]["routing"], waiting, readers)


def declare(
    management: Management, addresses: Sequence[Mapping[str, Any]], check_mode: bool
) -> list[str]:
    """Create what is missing, and return the names of the changed addresses.

    :raises RoutingInUseError: before the first change.
    :raises StompError: an operation failed.
    """
    present, found = routings(management), queues(management)
    names = {queue["name"] for queue in found}
    due = [
        item
        for item in addresses
        if present.get(item["name"]) != {item["routing"]}
        or (item["routing"] == "anycast" and item["name"] not in names)
    ]
    refused = [text for text in (refusal(item, found) for item in due) if text]
    if refused:
        raise RoutingInUseError("; ".join(refused))
    for item in [] if check_mode else due:
        name, routing = item["name"], item["routing"].upper()
        if name not in present:
            management.call("createAddress", name, routing)
        elif present[name] != {item["routing"]}:
            for queue in others(item, found):
                # without messages and readers
                management.call("destroyQueue", queue["name"], False, False)
                names.discard(queue["name"])
            management.call("updateAddress", name, routing)
        if item["routing"] == "anycast" and name not in names:
            queue = {"name": name, "address": name, "routing-type": routing, "durable": True}
            management.call("createQueue", json.dumps(queue))
    return [item["name"] for item in due]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "broker": {"type": "dict", "required": True, "options": SPEC},
            "addresses": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    hold(module)
    addresses = module.params["addresses"]
    try:
        with Management(module.params["broker"]) as management:
            missing = declare(management, addresses, module.check_mode)
    except RoutingInUseError as error:
        module.fail_json(msg="The addresses of the broker are not as declared: %s." % error)
    except (StompError, OSError) as error:
        # before a restart that may be what it needs
        if not module.check_mode:
            module.fail_json(
                msg="The broker did not declare the addresses. Evidence: %s. Fix: see journalctl "
                "--unit swf-broker.service" % error
            )
        missing = [item["name"] for item in addresses]
    module.exit_json(changed=bool(missing), missing=missing)


if __name__ == "__main__":
    main()
