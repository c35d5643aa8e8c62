# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody keeps a host's clock right."""

from __future__ import annotations

import subprocess

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    finding,
)


def unsynchronised():
    """A warning where systemd says that nothing synchronises the clock; None where it does, or
    cannot say."""
    # a container has the clock of its machine, and cannot mend it
    if output(["systemd-detect-virt", "--container", "--quiet"]) is not None:
        return None
    said = output(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if said is None or said.strip() != "no":
        return None
    return finding(
        "clock",
        "the clock of this host is not synchronised",
        "timedatectl: NTPSynchronized=no",
        "Run: sudo timedatectl set-ntp true (Debian: sudo apt-get install systemd-timesyncd, or "
        "chrony)",
        WARNING,
    )


def output(command):
    """What a command prints, None if it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
