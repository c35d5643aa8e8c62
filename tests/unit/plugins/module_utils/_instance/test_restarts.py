# SPDX-License-Identifier: GPL-3.0-or-later
"""What supervisord's log tells of programs that are RUNNING and were not a moment ago. The lines
are supervisord's own."""

from __future__ import annotations

import json

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.restarts import (
    Restart,
    before,
    restarted,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status

NOW = 1_800_000_000


def end(at, text):
    return "2027-01-15 %s,250 WARN %s\n" % (at, text)


def running(name="data-agent", ended=NOW - 12):
    return {
        "name": name,
        "group": name,
        "state": status.RUNNING,
        "now": NOW,
        "start": ended + 1,
        "stop": ended,
    }


def exits(*times, name="data-agent", how="exit status 7; not expected"):
    return "".join(end(at, "exited: %s (%s)" % (name, how)) for at in times)


def test_two_ends_within_an_hour_are_told():
    log = (
        exits("08:00:00")
        + exits("09:58:00", "09:59:00")
        + end("09:59:01", "success: data-agent entered RUNNING state")
    )
    assert restarted(log, [running()]) == {
        "data-agent:data-agent": Restart(2, "exit status 7", NOW - 12 + 0.25)
    }
    assert (
        restarted(
            exits("10:00:00", "10:00:30", how="terminated by SIGSEGV (core dumped); not expected"),
            [running()],
        )["data-agent:data-agent"].how
        == "terminated by SIGSEGV (core dumped)"
    )


def test_one_end_and_ends_of_long_ago_are_not():
    assert restarted(exits("09:59:00"), [running()]) == {}
    assert restarted(exits("08:00:00", "09:59:00"), [running()]) == {}
    assert restarted(exits("09:58:00", "09:59:00"), [running(ended=NOW - 4000)]) == {}


def test_a_program_that_never_ended_in_this_configuration_is_well():
    assert restarted(exits("09:58:00", "09:59:00"), [dict(running(), stop=0)]) == {}


def test_what_somebody_stopped_begins_anew():
    log = exits("09:50:00", "09:51:00") + end(
        "09:52:00", "stopped: data-agent (terminated by SIGTERM)"
    )
    assert restarted(log, [running()]) == {}
    assert restarted(log + exits("09:53:00"), [running()]) == {}
    assert (
        restarted(log + exits("09:53:00", "09:54:00"), [running()])["data-agent:data-agent"].times
        == 2
    )


def test_a_clock_that_was_set_back_hides_no_end():
    assert (
        restarted(exits("09:58:00", "09:01:00"), [dict(running(), now=NOW - 1800)])[
            "data-agent:data-agent"
        ].times
        == 2
    )


def test_the_log_is_cut_where_the_next_process_began():
    def line(at, message):
        return json.dumps({"time": "2027-01-15T08:%s.000+00:00" % at, "message": message})

    lines = [
        line("00:00", "works"),
        "Traceback: the cause",
        line("00:10", "restarts"),
        line("00:11", "works"),
    ]
    moment = NOW + 5.0  # 2027-01-15T08:00:05Z
    assert before("\n".join(lines), moment) == lines[:2]
    assert before("\n".join(lines[2:]), moment) == []
    assert before('no\n{"time": 7}\n[]\nJSON', moment) == ["no", '{"time": 7}', "[]", "JSON"]
