# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance of the login physicist, which prepare.yml made."""

from __future__ import annotations

COMPONENTS = ["broker", "monitor", "monitor-listener"]
PORTS = {"broker": 61713, "monitor": 8102}


def manager(host, command):
    """A command of systemctl for the manager of the login; host is to be root."""
    return host.run(
        "runuser -u physicist -- env XDG_RUNTIME_DIR=/run/user/$(id -u physicist) systemctl --user "
        "%s" % command
    )
