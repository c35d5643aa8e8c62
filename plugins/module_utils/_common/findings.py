# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that is wrong with a host: what, how that is known, and the next command."""

from __future__ import annotations

FATAL, WARNING = "fatal", "warning"


def finding(check, cause, evidence, fix, severity=FATAL, provider=None):
    """A finding, as it goes through JSON.

    :param check: one word or two for what was looked at, to filter by.
    :param provider: the part of the testbed that should have answered, where nothing did.
    """
    return {
        "check": check,
        "severity": severity,
        "cause": cause,
        "evidence": evidence,
        "fix": fix,
        "provider": provider,
    }


def sentence(item):
    """The finding as one text. No full stop follows the fix, which may end with a command."""
    cause = ": ".join(part.rstrip(".") for part in (item["cause"], item["evidence"]) if part) + "."
    return "%s %s" % (cause, item["fix"]) if item["fix"] else cause
