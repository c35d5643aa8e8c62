# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a finding."""

from __future__ import annotations

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    finding,
    message,
)


def test_text_gives_one_fix() -> None:
    inner = message(finding("socket", "the socket is stale", "errno 111", "run start.yml"))
    outer = finding("status", "the status is unknown", inner + "\n" + inner, "start the testbed")
    line = "the socket is stale. Evidence: errno 111"
    assert message(outer) == (
        "the status is unknown. Evidence: %s\n%s. Fix: start the testbed" % (line, line)
    )


def test_fix_of_the_evidence_is_kept_if_there_is_no_other() -> None:
    outer = finding("status", "the status is unknown", "no socket. Fix: run start.yml", "")
    assert message(outer).endswith("Fix: run start.yml")
