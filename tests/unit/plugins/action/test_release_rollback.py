# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of release_rollback. The rollback itself runs with real releases in tests/faults."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.action.release_rollback import is_named, story

FAILURE = {
    "msg": "1 of 9 programs is not RUNNING: monitor is FATAL (exit status 7).",
    "failures": [
        {"full_name": "monitor", "stderr_tail": "", "stdout_tail": "one\nthe cause is here\n"}
    ],
}
CHECKED = {"probes": ["health page", "the API answers"], "probes_saved": True}
OPTIONS = {"failure": FAILURE, "doing": "Apply the programs' configuration", "release": "2-b"}


@pytest.mark.parametrize(
    "result,expected",
    [
        (
            {"serves": True, "id": "1-a", "health_checked": True, **CHECKED},
            "The release 1-a is active again, with its configuration, and is healthy. Its health was "
            "checked with the probes that were saved with it: health page, the API answers. The "
            "failed release is still on the disk.",
        ),
        (
            {"serves": True, "id": "1-a", "health_checked": True, **CHECKED, "probes_saved": False},
            "with the probes of the inventory, because none were saved with it: health page, the",
        ),
        (
            {"serves": True, "id": "1-a", "health_checked": False},
            "The release 1-a is active again, with its configuration, and is running; health not "
            "checked.",
        ),
        (
            {"serves": False, "id": "1-a", "why": "broker is FATAL"},
            "THE PREVIOUS RELEASE 1-a FAILS, TOO. Evidence: broker is FATAL",
        ),
        (
            {"serves": False, "why": "there is no active release on this host."},
            "Nothing was restored. Evidence: there is no active",
        ),
        ({"serves": False}, "This was a check run"),
        (
            {"serves": True, "id": "1-a", "health_checked": False, "failed_step": "no collect"},
            "A step of the stack failed in the rollback. Evidence: no collect",
        ),
    ],
)
def test_the_message_says_what_failed_and_what_became_of_it(result, expected):
    text = story(OPTIONS, result)
    assert text.startswith(
        "The release 2-b did not become healthy. Failed task: Apply the programs' "
        "configuration\n1 of 9"
    )
    assert "The end of the log of monitor:\n  one\n  the cause is here\n" in text
    assert expected in text


def test_a_configuration_of_the_same_release_is_called_so():
    result = {"serves": True, "id": "2-b", "health_checked": True, **CHECKED}
    assert story(OPTIONS, result).startswith("The new configuration did not become healthy")


@pytest.mark.parametrize(
    "text,named",
    [
        (
            "the monitor's health is unknown: refused. Look at: swf-testbed logs monitor",
            ["monitor"],
        ),
        (
            "the listener is unhealthy: gone. Look at: swf-testbed logs monitor-listener",
            ["monitor-listener"],
        ),
        (
            "the monitor has not heard from data-agent (data@host, pid 7) since its start",
            ["data-agent"],
        ),
    ],
)
def test_whose_log_is_shown(text, named):
    assert [
        name
        for name in ("monitor", "monitor-listener", "data-agent", "agent")
        if is_named(name, text)
    ] == named
