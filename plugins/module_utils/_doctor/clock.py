# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host's clock is synchronised, and agrees with that of a service."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import captured


def unsynchronised() -> Finding | None:
    """A warning if systemd reports that the clock is not synchronised, or None."""
    # a container shares the clock of its host, and cannot set it
    if output(["systemd-detect-virt", "--container", "--quiet"]) is not None:
        return None
    synchronised = output(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if synchronised is None or synchronised.strip() != "no":
        return None
    return finding(
        "clock",
        "the clock of this host is not synchronised",
        "timedatectl: NTPSynchronized=no",
        "Run: sudo timedatectl set-ntp true (Debian: sudo apt-get install systemd-timesyncd, or "
        "chrony)",
        WARNING,
    )


def different(
    name: str, there: float, sent: float, received: float, most: float
) -> Iterator[Finding]:
    """A warning if the clock of a service differs from that of this host.

    :param there: its time, read between ``sent`` and ``received`` of this host.
    :param most: seconds by which it may differ.
    """
    offset = there - received if there > received else min(there - sent, 0.0)
    if abs(offset) > most:
        yield finding(
            "clock",
            "the clock of %s differs from that of this host" % name,
            "it is %s by %.0f s" % ("behind" if offset < 0 else "ahead", abs(offset)),
            "Compare both: date -u. Then synchronise the wrong one",
            WARNING,
        )


def output(command: list[str]) -> str | None:
    """The output of a command, or None if it fails."""
    try:
        done = captured(command, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
