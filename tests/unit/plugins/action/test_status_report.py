# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.action import status_report

RUNNING = {"full_name": "broker", "state": "RUNNING", "pid": 42, "uptime_seconds": 93784}


@pytest.mark.parametrize(
    "seconds,text", [(None, "-"), (0, "00:00:00"), (61, "00:01:01"), (93784, "1d 02:03:04")]
)
def test_duration(seconds, text):
    assert status_report.duration(seconds) == text


def test_a_healthy_host_has_no_problem():
    rows, problems = status_report.compose(
        {"a": {"instances": [{"name": "swf", "processes": [RUNNING], "problems": []}]}}
    )
    assert problems == []
    assert status_report.table(rows) == [
        "HOST  INSTANCE  PROGRAM  STATE    PID  UPTIME",
        "a     swf       broker   RUNNING  42   1d 02:03:04",
    ]


@pytest.mark.parametrize(
    "checked,verdict",
    [(True, "The testbed is healthy."), (False, "The testbed is running; health not checked")],
)
def test_without_a_check_nothing_is_healthy(monkeypatch, checked, verdict):
    shown = []
    monkeypatch.setattr(status_report.ActionBase, "run", lambda *_arguments: {})
    monkeypatch.setattr(status_report, "Display", lambda: SimpleNamespace(display=shown.append))
    action = object.__new__(status_report.ActionModule)
    action._task = SimpleNamespace(args={"variable": "state", "hosts": ["a"]}, check_mode=False)
    instance = {"name": "swf", "processes": [RUNNING], "problems": []}
    state = {"instances": [instance], "health_checked": checked}
    result = action.run(task_vars={"hostvars": {"a": {"state": state}}})
    assert result["healthy"] is result["health_checked"] is checked
    assert [line.startswith(verdict) for line in shown if line.startswith("The testbed")] == [True]


def test_who_is_down_is_told_with_the_reason():
    rows, problems = status_report.compose(
        {
            "a": {
                "instances": [
                    {"name": "swf", "processes": [], "problems": ["not installed: run site.yml"]}
                ]
            },
            "b": {"unreachable": True, "msg": "Task failed: no route\nto host"},
            "c": {"msg": "an earlier task failed on it, see above"},
        }
    )
    assert [row[3] for row in rows] == ["DOWN", "UNREACHABLE", "UNKNOWN"]
    assert problems == [
        "a, swf: not installed: run site.yml",
        "b: cannot be reported: no route to host. Check that it is up and accepts the login: ansible b "
        "-m ping",
        "c: cannot be reported: an earlier task failed on it, see above",
    ]


def test_who_judged_the_agents_and_a_login_without_lingering_are_said():
    central = {"heard": 2, "agents": 3, "namespaces": ["alice"], "url": "https://monitor"}
    judged, line = status_report.notes(
        {"a": {"central": central}, "b": {"lingering": "alice", "instances": [{}]}}
    )
    assert judged == (
        "a: the central monitor judges its agents: it has heard from 2 of 3 since their start, in the "
        "namespace alice. Evidence: https://monitor."
    )
    assert line.startswith("b: the programs may end with the last session of alice")
    assert "loginctl enable-linger alice" in line


def test_what_an_ill_program_said_last_is_shown_and_of_others_nothing():
    program = {
        "stdout_logfile": "/log/bad",
        "stdout_tail": "first\nthe cause",
        "stderr_logfile": "/log/err",
        "stderr_tail": None,
    }
    processes = [
        dict(program, full_name="bad", healthy=False),
        dict(program, full_name="good", healthy=True),
    ]
    answer = {"results": [{"processes": processes}]}
    assert list(status_report.ends_of_logs("a", answer)) == [
        "a, bad, the end of /log/bad:",
        "    first",
        "    the cause",
    ]
    assert list(status_report.ends_of_logs("a", {"results": []})) == []


def test_the_queues_of_a_broker_and_a_broker_that_does_not_answer():
    queue = {"address": "slices", "messages": 3, "readers": 2}
    rows, problems, lines = status_report.of_broker(
        "a",
        {
            "problem": "",
            "dead_letters": 1,
            "queues": [
                queue,
                dict(queue, address="empty", messages=0),
                dict(queue, address="DLQ", messages=1, readers=0),
            ],
        },
    )
    assert (rows[0][3], problems) == ("RUNNING", [])
    assert lines == [
        "Broker on a: 4 messages in its queues, and 1 of them are dead letters.",
        "    slices: 3 messages, 2 readers",
        "    DLQ: 1 messages, 0 readers",
    ]
    rows, problems, lines = status_report.of_broker("a", {"problem": "connection refused"})
    assert (rows[0][3], lines) == ("DOWN", [])
    assert problems == ["a, swf-broker: does not answer: connection refused"]
    # a host without a broker
    assert status_report.of_broker("a", {"skipped": True}) == ([], [], [])
