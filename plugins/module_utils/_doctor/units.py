# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a unit of the testbed in systemd."""

from __future__ import annotations

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import systemd

STARTED = ("active", "reloading", "activating")
# it starts at boot, by itself or because another unit wants it
ENABLED = ("enabled", "enabled-runtime", "static", "generated", "alias", "indirect")
JOURNAL_LINES = 5


def unit_problems(unit: str, scope: str, start: str) -> tuple[bool, list[Finding]]:
    """Findings for an installed unit.

    :param start: the command that starts it.
    :returns: (whether it runs, findings)
    """
    option = "--user " if scope == "user" else ""
    try:
        state = systemd.properties(unit, scope)
    except systemd.SystemdError as error:
        return False, [
            finding(
                "unit",
                "the state of %s is unknown" % unit,
                str(error),
                "Try: systemctl %sstatus %s" % (option, unit),
            )
        ]
    found = []
    runs = state["ActiveState"] in STARTED
    if state["LoadState"] == "not-found":
        found.append(
            finding(
                "unit",
                "%s is installed, and systemd has not loaded it" % unit,
                "LoadState=not-found",
                "Run: ansible-playbook site.yml",
            )
        )
    elif state["ActiveState"] == "failed" or (
        state["ActiveState"] == "activating" and int(state["NRestarts"] or 0)
    ):
        log_end = systemd.journal(unit, scope, JOURNAL_LINES)
        found.append(
            finding(
                "unit",
                "%s has failed" % unit,
                "Result=%s, restarted %s times%s"
                % (
                    state.get("Result", "unknown"),
                    state["NRestarts"] or 0,
                    "; the end of its journal: " + log_end if log_end else "",
                ),
                "Look at: journalctl %s--unit %s; fix the cause, then: %s" % (option, unit, start),
            )
        )
        runs = False
    elif not runs:
        found.append(
            finding(
                "unit",
                "%s is not active" % unit,
                "ActiveState=%s" % state["ActiveState"],
                "Run: %s" % start,
            )
        )
    elif int(state["NRestarts"] or 0):
        found.append(
            finding(
                "unit",
                "%s has failed before and was restarted" % unit,
                "NRestarts=%s" % state["NRestarts"],
                "Look at: journalctl %s--unit %s. Reset the count with: systemctl %sreset-failed %s"
                % (option, unit, option, unit),
                WARNING,
            )
        )
    if state["LoadState"] == "loaded" and state["UnitFileState"] not in ENABLED:
        found.append(
            finding(
                "unit",
                "%s does not start at boot" % unit,
                "UnitFileState=%s" % state["UnitFileState"],
                "Run: ansible-playbook site.yml, or systemctl %senable %s" % (option, unit),
                WARNING,
            )
        )
    if state["NeedDaemonReload"] == "yes":
        found.append(
            finding(
                "unit",
                "the unit file of %s was changed and systemd has not reloaded it" % unit,
                "NeedDaemonReload=yes",
                "Run: ansible-playbook site.yml",
                WARNING,
            )
        )
    return runs, found
