# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host's systemd can run the testbed."""

from __future__ import annotations

import os

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import user_name
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.systemd import LINGER

# the first version with ProtectProc=, which the units use
OLDEST = 247


def system_problems(version: int | None) -> list[Finding]:
    """Findings that prevent a system-scope instance.

    :param version: of the systemd that runs the host, or None.
    """
    found = []
    if os.geteuid() != 0:
        found.append(
            finding(
                "root",
                "the scope is system, and this login (%s) is not root" % user_name(os.geteuid()),
                "its uid is %d" % os.geteuid(),
                "Set ansible_become for this host, or swf_testbed_scope",
            )
        )
    if version is None:
        found.append(
            finding(
                "systemd",
                "the scope is system, and systemd is not the init system of this host",
                "there is no /run/systemd/system",
                "Set swf_testbed_scope to user",
            )
        )
    elif version < OLDEST:
        found.append(
            finding(
                "systemd",
                "the systemd of this host is too old",
                "it is %d, and the units need %d or newer" % (version, OLDEST),
                "Upgrade the distribution, or set swf_testbed_scope to user",
            )
        )
    return found


def linger_problem(version: int | None, lingers: bool) -> Finding | None:
    """A warning if an instance of a login would not survive a reboot, or None.

    :param version: of the systemd that runs the host, or None.
    :param lingers: the result of :func:`systemd.lingers`.
    """
    if version is None or lingers:
        return None
    cause, name = "nothing starts the testbed after a reboot", user_name(os.geteuid())
    if not os.path.exists(LINGER + name):
        return finding(
            "systemd",
            cause,
            "the units of %s stop with its last session: there is no %s%s" % (name, LINGER, name),
            "Run: sudo loginctl enable-linger %s; then: ansible-playbook site.yml. Or, if this is "
            "intended, set swf_testbed_systemd to never" % name,
            WARNING,
        )
    unit = "user@%d.service" % os.geteuid()
    return finding(
        "systemd",
        cause,
        "lingering is enabled for %s, but its manager, %s, does not answer" % (name, unit),
        "Run: systemctl status %s. Without pam_systemd it cannot start: sudo apt-get install "
        "libpam-systemd, sudo systemctl restart %s, and then: ansible-playbook site.yml"
        % (unit, unit),
        WARNING,
    )
