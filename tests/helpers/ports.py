# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP ports of 127.0.0.1."""

from __future__ import annotations

import socket


def free_port():
    """One that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def component_ports():
    """Variables that give free ports to the components of the reference stack."""
    return {"swf_testbed_%s_port" % name: free_port() for name in ("broker", "monitor", "mcp")}
