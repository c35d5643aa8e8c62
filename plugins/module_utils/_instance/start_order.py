# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners and agents start only after the monitor answers, on whichever host it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.health import (
    BEHIND,
    RequestError,
    request,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.start_order import (
    StartOrder,
)

MONITOR = "monitor"
LAST = ("listener", "agent")
# a health page reports 503 while listeners and agents do not run
OF_A_PAGE = (200, 503)

#: the option of the modules
OPTION: dict[str, Any] = {
    "type": "dict",
    "options": {
        "url": {"type": "str", "default": ""},
        "probes": {"type": "list", "elements": "dict", "default": []},
        "components": {"type": "list", "elements": "dict", "default": []},
        "timeout": {"type": "float", "default": 60},
        "ca_cert": {"type": "path"},
    },
}

#: {address: (the statuses of an answer, or () for any)}
Servers = dict[str, tuple[int, ...]]


def start_order(options: Mapping[str, Any] | None) -> StartOrder:
    """The start order that a module's option describes."""
    if not options:
        return StartOrder()
    monitors = [item for item in options["components"] if item["role"] == MONITOR]
    names = [item["name"] for item in monitors]
    servers = servers_of(options, names)
    if not servers:
        return StartOrder()
    times = [float(item.get("start_timeout") or 0) for item in monitors]
    return StartOrder(
        last=[item["name"] for item in options["components"] if item["role"] in LAST],
        unanswered=lambda: unanswered(servers, options["ca_cert"]),
        servers=names or [MONITOR],
        timeout=max([options["timeout"], *times]),
    )


def servers_of(options: Mapping[str, Any], monitors: list[str]) -> Servers:
    """The health page, and the probes of the monitor: those with ``agents`` are, whichever program
    is at fault. Conditions do not count: they may need programs that start later."""
    servers: Servers = {options["url"]: OF_A_PAGE} if options["url"] else {}
    for probe in options["probes"]:
        if probe["component"] in monitors or "agents" in probe:
            simple = not probe.get("conditions") and "agents" not in probe
            servers.setdefault(probe["url"], (int(probe.get("status") or 200),) if simple else ())
    return servers


def unanswered(servers: Servers, ca_file: str | None) -> list[str]:
    """A line of evidence for each server that does not answer."""
    found = []
    for url, statuses in servers.items():
        try:
            answered = request(url, ca_file, follow=False).status
        except RequestError as error:
            found.append("GET %s: %s" % (url, error))
            continue
        if answered in BEHIND or (statuses and answered not in statuses):
            found.append("GET %s: HTTP %d" % (url, answered))
    return found
