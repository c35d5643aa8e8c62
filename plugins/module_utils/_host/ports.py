# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the ports that an instance listens on are free, and which process holds them."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)

#: the option ports of a module
OPTION: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "variable": {"type": "str", "required": True},
        "host": {"type": "str", "default": "127.0.0.1"},
        "port": {"type": "int", "required": True},
    },
}


def holder(port: int) -> tuple[int | None, str | None]:
    """(pid, program) of the process that listens on the port, or (None, None) if this login cannot
    see it."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as stream:
                rows = [line.split() for line in stream][1:]
        except OSError:
            continue
        inodes |= {
            "socket:[%s]" % row[9]
            for row in rows
            if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port
        }
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for handle in os.listdir("/proc/%s/fd" % pid):
                if os.readlink("/proc/%s/fd/%s" % (pid, handle)) in inodes:
                    return int(pid), program_of(pid)
        except OSError:
            continue
    return None, None


def program_of(pid: str) -> str:
    """Program and script of a process, without its other arguments: they may contain a password."""
    with open("/proc/%s/cmdline" % pid, "rb") as stream:
        words = stream.read().decode(errors="replace").split("\0")
    return " ".join(words[:1] + [word for word in words[1:2] if os.path.isfile(word)])


def bind_problem(item: Mapping[str, Any], number: int) -> Finding:
    """The finding for a failed bind whose error is not that the port is in use."""
    if number == errno.EACCES:
        return finding(
            "port",
            "port %d for %s needs root" % (item["port"], item["name"]),
            os.strerror(number),
            "Set %s to a port above 1023" % item["variable"],
        )
    return finding(
        "port",
        "cannot listen on %s port %d for %s" % (item["host"], item["port"], item["name"]),
        os.strerror(number),
        "Set the address to one that this host has",
    )


def port_problem(item: Mapping[str, Any], ours: Collection[int] = ()) -> Finding | None:
    """The finding for a port that this instance cannot bind, or None.

    :param ours: pids of the programs of this instance, which may hold the port.
    """
    family = socket.AF_INET6 if ":" in item["host"] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((item["host"], item["port"]))
            return None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return bind_problem(item, error.errno or errno.EINVAL)
    pid, program = holder(item["port"])
    if pid in ours:
        return None
    who = "process %d" % pid if pid else "a process of another user"
    return finding(
        "port",
        "port %d for %s is in use by %s" % (item["port"], item["name"], who),
        program or "%s port %d cannot be bound" % (item["host"], item["port"]),
        "Stop that process (find it with: sudo ss -ltnp 'sport = :%d'), or set %s to a free port"
        % (item["port"], item["variable"]),
    )
