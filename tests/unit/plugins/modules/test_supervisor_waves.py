# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of several programs goes by their priority, so that not everything is down at once.
Against a real supervisord."""

from __future__ import annotations

import tempfile

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.apply import waves
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.plan import Plan
from helpers.supervisord_host import Supervisord

SLOW_TO_STOP = "/bin/sh -c 'trap \"sleep 2; exit 0\" TERM; while :; do sleep 0.1; done'"
PROGRAM = "[program:%s]\ncommand=%s\npriority=%d\nstartsecs=0\nenvironment=ROUND=%d\n"


def programs(number):
    return "".join(
        PROGRAM % (name, command, priority, number)
        for name, command, priority in (
            ("service", SLOW_TO_STOP, 100),
            ("one", "sleep 1000", 200),
            ("two", "sleep 1000", 200),
        )
    )


@pytest.fixture(name="host")
def a_supervisord():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        host = Supervisord(folder, programs(1)).start()
        yield host
        host.stop()


def test_what_uses_a_service_goes_on_until_that_is_back(host):
    host.program("started", ["all"])
    host.configure(programs(2))
    answer = host.program("applied")
    assert answer["changed_programs"] == ["one", "service", "two"], answer
    log = (host.folder / "supervisord.log").read_text()
    gone = log.index("stopped: service ")
    assert gone < log.index("spawned: 'service'", gone) < log.index("stopped: one "), log


def test_the_parts_of_a_plan():
    wanted = {
        name: {"group": name, "group_prio": priority}
        for name, priority in (("a", 100), ("b", 200), ("c", 200))
    }
    parts = waves(Plan(added=["c"], changed=["b", "a"], removed=["z"], wanted=wanted))
    assert [(part.added, part.changed, part.removed) for part in parts] == [
        ([], ["a"], ["z"]),
        (["c"], ["b"], []),
    ]
    assert [part.removed for part in waves(Plan(removed=["z"]))] == [["z"]]
