# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings for a systemd service of the testbed on this host, or for its installation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.broker import of_queues
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.certificates import (
    file_problems,
    placed,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.reach import connect
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.units import unit_problems
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.places import full_disks
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.ports import port_problem

# a service on all addresses is tested at the loopback address
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}


def examine(
    item: Mapping[str, Any], options: Mapping[str, Any], version: int | None
) -> tuple[bool, list[Finding]]:
    """(installed, findings) of a service.

    :param item: one of the option ``services`` of the module host_check.
    :param version: of systemd, or None.
    """
    there = placed(item["placed"])
    if not there:
        return False, [
            finding(
                "not_installed",
                "the %s is not installed" % item["part"],
                "there is no %s" % item["placed"],
                "Run: ansible-playbook site.yml",
                WARNING,
            ),
            *ports(item),
        ]
    found = full_disks([item["state_dir"]], options["min_free_mb"])
    for path in there:
        part = matched(item["placed"], path)
        unit = item["unit"].replace("*", part)
        start = "sudo systemctl start %s" % unit
        runs, more = unit_problems(unit, "system", start) if version else (False, [])
        if not runs:
            more += ports(item)
        else:
            silent = unanswered(item, unit, options["timeout"])
            more += silent or (of_queues(item["broker"]) if item["broker"] else [])
        found += more
        found += of_certificate(item, part, options["expiry_days"])
    return True, found


def matched(pattern: str, path: str) -> str:
    """The text that the star of a pattern matches; empty without a star."""
    before, star, after = pattern.partition("*")
    return path[len(before) : len(path) - len(after)] if star else ""


def ports(item: Mapping[str, Any]) -> list[Finding]:
    """Findings for required ports that are not free."""
    hosts = ["0.0.0.0" if host == "*" else host.strip("[]") for host in item["listen"]]
    found = [port_problem(dict(item, name=item["part"], host=host)) for host in hosts]
    return [problem for problem in found if problem]


def unanswered(item: Mapping[str, Any], unit: str, timeout: float) -> list[Finding]:
    found = []
    for host in item["listen"]:
        host = ANY_ADDRESS.get(host, host.strip("[]"))
        try:
            connect(host, item["port"], timeout).close()
        except OSError as error:
            found.append(
                finding(
                    "unit",
                    "%s is active and does not answer" % unit,
                    "%s port %d: %s" % (host, item["port"], error.strerror or error),
                    "Look at: journalctl --unit %s; then: sudo systemctl restart %s" % (unit, unit),
                )
            )
    return found


def of_certificate(item: Mapping[str, Any], part: str, days: int) -> list[Finding]:
    path, key = (item[name].replace("*", part) for name in ("certificate", "key"))
    # without root, skip files that only root can read: the login has been reported
    if not path or (os.geteuid() != 0 and not os.access(path, os.R_OK)):
        return []
    return file_problems("the certificate of the %s" % item["part"], path, days, item["names"], key)
