# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the firewall of a host lets other hosts reach its services: firewalld and ufw.

Only an active firewall that certainly closes the port is a problem. The state of another one (rules
of nftables by hand) says nothing about a port without the address that calls.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import captured

ENVIRONMENT = {"LC_ALL": "C"}


def output_of(*command: str) -> str:
    """The output of a program, empty if it fails or is not installed."""
    program = shutil.which(command[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not program:
        return ""
    try:
        done = captured([program, *command[1:]], env={**os.environ, **ENVIRONMENT})
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def in_ranges(port: int, texts: Iterable[str]) -> bool:
    """Whether a port is in one of the texts ``443/tcp``, ``8000-9000/tcp`` or ``8000:9000``."""
    for text in texts:
        found = re.fullmatch(r"(\d+)(?:[-:](\d+))?(?:/tcp)?", text)
        if found and int(found[1]) <= port <= int(found[2] or found[1]):
            return True
    return False


def closed_by_firewalld(ports: Sequence[int]) -> tuple[list[int], str]:
    """(ports that no active zone opens, text for the evidence)."""
    if output_of("firewall-cmd", "--state") != "running":
        return [], ""
    default = output_of("firewall-cmd", "--get-default-zone")
    active = re.findall(r"^(\S+)", output_of("firewall-cmd", "--get-active-zones"), re.MULTILINE)
    opened: list[str] = []
    for zone in sorted({default, *active} - {""}):
        shown = output_of("firewall-cmd", "--zone=" + zone, "--list-all")
        fields = dict(re.findall(r"^\s*([a-z-]+): *(.*)$", shown, re.MULTILINE))
        # rich rules can open a port for some hosts
        if fields.get("target") == "ACCEPT" or "rule " in shown:
            return [], ""
        opened += fields.get("ports", "").split()
        for service in fields.get("services", "").split():
            text = output_of("firewall-cmd", "--info-service=" + service)
            opened += " ".join(re.findall(r"^\s*ports: *(.*)$", text, re.MULTILINE)).split()
    return [port for port in ports if not in_ranges(port, opened)], (
        "firewalld runs, and no active zone (%s) has them" % ", ".join(sorted({default, *active}))
    )


def closed_by_ufw(ports: Sequence[int]) -> tuple[list[int], str]:
    """(ports that no rule allows, text for the evidence)."""
    shown = output_of("ufw", "status", "verbose")
    if "Status: active" not in shown or "Default: allow (incoming)" in shown:
        return [], ""
    rules = re.findall(r"^(.+?)\s+(?:ALLOW|LIMIT)", shown, re.MULTILINE)
    # of an address, or of an application with ports of its own
    if any(not re.fullmatch(r"[\d:,]+(?:/(?:tcp|udp))?(?: \(v6\))?", rule) for rule in rules):
        return [], ""
    opened = [
        part for rule in rules if "/udp" not in rule for part in re.split(r"[,/ ]", rule) if part
    ]
    return [port for port in ports if not in_ranges(port, opened)], (
        "ufw is active, and no rule allows them"
    )


def problem(items: Sequence[Mapping[str, Any]]) -> Finding | None:
    """The finding for the ports that other hosts call and that the firewall closes, or None.

    :param items: services of this host, each with ``name`` and ``port``.
    """
    ports = sorted({item["port"] for item in items})
    for manager, look in (("firewalld", closed_by_firewalld), ("ufw", closed_by_ufw)):
        closed, evidence = look(ports) if ports else ([], "")
        if not closed:
            continue
        names = [
            "%d (%s)" % (item["port"], item["name"]) for item in items if item["port"] in closed
        ]
        if manager == "firewalld":
            fix = (
                "Set swf_testbed_firewall_manager to firewalld, and the run opens them, or run: %s; "
                "sudo firewall-cmd --reload"
                % "; ".join("sudo firewall-cmd --permanent --add-port=%d/tcp" % p for p in closed)
            )
        else:
            fix = "Run: " + "; ".join("sudo ufw allow %d/tcp" % port for port in closed)
        return finding(
            "firewall",
            "the firewall of this host closes ports that other hosts call: " + ", ".join(names),
            evidence,
            fix,
        )
    return None
