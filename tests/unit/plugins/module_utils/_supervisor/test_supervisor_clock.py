# SPDX-License-Identifier: GPL-3.0-or-later
"""What supervisord reports while its clock, which was set back by two hours, has not caught up. The
reports are made up."""

from __future__ import annotations

import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.wait import Waiter

NOW, BEFORE = 1_800_000_000, 1_800_007_200


def report(state, **changed):
    return dict(
        {
            "name": "one",
            "group": "one",
            "state": state,
            "statename": "",
            "pid": 7,
            "now": NOW,
            "start": BEFORE - 60,
            "stop": 0,
            "spawnerr": "",
            "exitstatus": 0,
            "stdout_logfile": "",
            "stderr_logfile": "",
        },
        **changed,
    )


@pytest.fixture(name="later")
def a_clock_that_nobody_sets(monkeypatch):
    began = time.monotonic()

    def set_to(seconds):
        monkeypatch.setattr(time, "monotonic", lambda: began + seconds)

    set_to(0)
    return set_to


@pytest.mark.parametrize("wanted", ["stopped", "running"])
def test_what_exited_counts_as_exited(later, wanted):
    waiter, look = Waiter({"one:one": wanted}, 0), [report(status.EXITED, stop=BEFORE, pid=0)]
    assert waiter.judge(look, None) == ({}, {"one:one": ""})
    later(3)
    assert waiter.judge(look, None) == ({}, {})


def test_a_restarted_program_has_not_settled(later):
    waiter = Waiter({"one:one": "stopped"}, 0)
    for seconds in range(6):
        later(seconds)
        assert waiter.judge([report(status.EXITED, stop=BEFORE + seconds, pid=0)], None)[1], seconds


def test_what_runs_has_to_run_for_so_long(later):
    waiter, look = Waiter({"one:one": "running"}, 3), [report(status.RUNNING)]
    assert "not yet" in waiter.judge(look, None)[1]["one:one"]
    later(3.1)
    assert waiter.judge(look, None) == ({}, {})


def test_how_long_it_runs_is_not_known_and_no_reason_to_call_it_ill():
    (item,) = status.processes([report(status.RUNNING)], None, "", min_uptime=5)
    assert item["uptime_seconds"] is None and item["healthy"]
    (item,) = status.processes([report(status.RUNNING, now=BEFORE)], None, "", min_uptime=5)
    assert item["uptime_seconds"] == 60
