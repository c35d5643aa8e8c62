# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that the programs of a host use: whether the host reaches it, and what it does for their
login."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    FATAL,
    Finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor import (
    broker,
    cache,
    database,
    monitor,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.reach import reach

CHECKS = {
    "http": monitor.examine,
    "postgresql": database.examine,
    "redis": cache.examine,
    "stomp": broker.examine,
}
TEXT = {"type": "str", "default": ""}
NAME = {"type": "str", "required": True}
SUBOPTIONS = {
    "name": NAME,
    "needed": {"type": "bool", "default": True},
    "host": NAME,
    "port": {"type": "int", "required": True},
    "tls": {"type": "str", "choices": ["off", "on", "postgresql"], "default": "off"},
    "ca": TEXT,
    "variable": NAME,
    "provider": TEXT,
    "protocol": {"type": "str", "choices": ["", *CHECKS], "default": ""},
    "user": TEXT,
    "secret": dict(TEXT, no_log=False),
    "password": {"type": "str", "no_log": True},
    "url": TEXT,
    "database": TEXT,
    "minimum": TEXT,
    "connections": {"type": "int", "default": 0},
    "instance": TEXT,
    "needs": {"type": "dict", "default": {}},
    "probe": TEXT,
    "accept_unverified": {"type": "bool", "default": False},
}
#: the option ``reach`` of modules
OPTION = {"type": "list", "elements": "dict", "default": [], "options": SUBOPTIONS}


def examine(
    items: Iterable[Mapping[str, Any]], timeout: float, days: int, most: float
) -> list[Finding]:
    """Findings of the services that are needed.

    :param items: of the option ``reach``.
    :param days: before its expiry, from which there is a warning for a certificate.
    :param most: seconds by which the clocks may differ.
    """
    found = []
    for item in items:
        if not item["needed"]:
            continue
        new = reach(item, timeout, days)
        # a password that this controller does not have yet is not a finding
        if (
            item["protocol"]
            and item["password"] is not None
            and not any(one["severity"] == FATAL for one in new)
        ):
            new += CHECKS[item["protocol"]](item, timeout, most)
        found += new
    return found
