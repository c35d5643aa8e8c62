# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings for the queues of the broker on this host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service import (
    artemis_queues as queues,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.artemis import (
    Management,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.stomp import StompError


def of_queues(broker: Mapping[str, Any]) -> list[Finding]:
    """Dead letters, and messages that nobody reads.

    :param broker: as the option ``broker`` of the module broker_info.
    """
    try:
        with Management({"timeout": 10, **broker}) as management:
            found = queues.queues(management)
    except PermissionError:
        # without root, skip a file that only root can read: the login has been reported
        return []
    except (StompError, OSError) as error:
        return [
            finding(
                "unit",
                "the broker does not answer",
                "%s port %d: %s" % (broker["host"], broker["port"], error),
                "Look at: journalctl --unit swf-broker.service; then run: ansible-playbook site.yml",
            )
        ]
    problems = []
    if queues.dead_letters(found):
        problems.append(
            finding(
                "queues",
                "the broker has dead letters",
                "%d messages expired, or their delivery failed too often"
                % queues.dead_letters(found),
                "Read them from /queue/%s, and look for their cause in the logs of the agents"
                % queues.DEAD_LETTERS,
                WARNING,
            )
        )
    for queue in queues.unread(found):
        problems.append(
            finding(
                "queues",
                "nobody reads the queue %s" % queue["name"],
                "%d messages wait in it, and it has no reader" % queue["messages"],
                "Start the program that reads it: ansible-playbook playbooks/status.yml",
                WARNING,
            )
        )
    return problems
