# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd_unit: what it decides, and what it does with a stand-in for systemctl. The roles'
scenarios run it on real hosts."""

from __future__ import annotations

import os
import socket
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.modules import systemd_unit

UNIT_FILE = "/etc/systemd/system/app.service"


def microseconds_ago(seconds):
    return str(int((time.monotonic() - seconds) * 1e6))


def state(**changed):
    return dict(
        {
            "LoadState": "loaded",
            "ActiveState": "active",
            "UnitFileState": "enabled",
            "NeedDaemonReload": "no",
            "FragmentPath": UNIT_FILE,
            "DropInPaths": "",
            "InactiveExitTimestampMonotonic": microseconds_ago(0),
            "StateChangeTimestampMonotonic": microseconds_ago(0),
        },
        **changed,
    )


def plan(found, restart_on=(), reload_on=(), placed=()):
    return systemd_unit.plan(
        found,
        {"restart_on": list(restart_on), "reload_on": list(reload_on), "placed": list(placed)},
    )


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "app.conf"
    path.write_text("x")
    return str(path)


def test_a_service_that_read_its_files_is_left_alone(config):
    time.sleep(0.02)
    assert plan(state(), [config], [config]) == ([], [])


def test_a_file_that_came_after_the_start_restarts_it(config):
    assert plan(state(InactiveExitTimestampMonotonic=microseconds_ago(60)), [config]) == (
        ["restart"],
        [config],
    )


def test_a_file_from_before_the_clock_was_set_back_restarts_it_once(config, monkeypatch):
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(systemd_unit.time, "time", lambda: now - 7200)
        assert plan(state(), [config])[0] == ["restart"]
        before = os.stat(config)
        systemd_unit.settle([config, config + ".gone"], "ctime")
    after = os.stat(config)
    assert after.st_ctime_ns > before.st_ctime_ns and after.st_mtime_ns == before.st_mtime_ns
    # nothing to do where no time is to come
    systemd_unit.settle([config], "ctime")
    assert os.stat(config).st_ctime_ns == after.st_ctime_ns


def test_a_file_that_came_after_the_last_reload_reloads_it(config):
    found = state(
        InactiveExitTimestampMonotonic=microseconds_ago(60),
        StateChangeTimestampMonotonic=microseconds_ago(50),
    )
    assert plan(found, [], [config]) == (["reload"], [config])
    time.sleep(0.02)
    assert plan(dict(found, StateChangeTimestampMonotonic=microseconds_ago(0)), [], [config]) == (
        [],
        [],
    )


def test_a_restart_makes_a_reload_needless(config):
    assert plan(
        state(
            InactiveExitTimestampMonotonic=microseconds_ago(60),
            StateChangeTimestampMonotonic=microseconds_ago(60),
        ),
        [config],
        [config],
    )[0] == ["restart"]


def test_what_check_mode_only_predicted_counts(tmp_path):
    path = str(tmp_path / "not-there-yet")
    assert plan(state(), [path], placed=[{"path": path, "action": "created"}]) == (
        ["restart"],
        [path],
    )
    assert plan(state(), [], [str(tmp_path)], [{"path": path, "action": "removed"}]) == (
        ["reload"],
        [str(tmp_path)],
    )


def test_a_first_drop_in_is_noticed_though_systemd_does_not_tell_of_it():
    drop_in = "/etc/systemd/system/app.service.d/more.conf"
    assert plan(state(), [UNIT_FILE, drop_in]) == (["daemon-reload", "restart"], [drop_in])
    assert plan(state(DropInPaths="/run/other.conf " + drop_in), [UNIT_FILE, drop_in]) == ([], [])


@pytest.mark.parametrize(
    "found, actions",
    [
        (
            state(LoadState="not-found", ActiveState="inactive", UnitFileState=""),
            ["daemon-reload", "enable", "start"],
        ),
        (state(ActiveState="failed"), ["start"]),
        (state(UnitFileState="disabled"), ["enable"]),
        (state(UnitFileState="enabled-runtime"), []),
        (state(NeedDaemonReload="yes"), ["daemon-reload"]),
        (state(ActiveState="activating"), []),
    ],
)
def test_states(found, actions):
    assert plan(found)[0] == actions


class Refused(Exception):
    pass


class Module:
    def __init__(self, **params):
        self.params = dict(
            {"unit": "app.service", "listen": [], "port": None, "timeout": 1, "log_lines": 3},
            **params,
        )

    def fail_json(self, **result):
        raise Refused(result["msg"])


@pytest.fixture
def systemctl(monkeypatch):
    """A stand-in that notes what it was told."""
    calls = []

    def answer(scope, *arguments):
        calls.append(arguments)
        if arguments[0] == "reset-failed":
            raise systemd_unit.SystemdError("not loaded")
        return "ActiveState=active\n"

    monkeypatch.setattr(systemd_unit, "systemctl", answer)
    return calls


def test_actions_come_in_their_order_and_nothing_to_reset_does_no_harm(systemctl):
    systemd_unit.carry_out(["daemon-reload", "enable", "start"], "app.service")
    assert systemctl == [
        ("daemon-reload",),
        ("enable", "app.service"),
        ("reset-failed", "app.service"),
        ("start", "app.service"),
    ]


def test_it_waits_for_the_port(systemctl):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert (
            systemd_unit.wait(
                {"unit": "app", "listen": ["127.0.0.1", "0.0.0.0"], "port": port, "timeout": 5}
            )
            == ""
        )
    text = systemd_unit.wait({"unit": "app", "listen": ["127.0.0.1"], "port": port, "timeout": 0})
    assert "nothing listens on 127.0.0.1 port %d" % port in text


def test_a_failure_shows_the_journal_and_the_next_command(monkeypatch):
    monkeypatch.setattr(systemd_unit, "journal", lambda unit, scope, lines: "no such class\nexit")
    with pytest.raises(Refused) as error:
        systemd_unit.fail(Module(), "it is failed", [], [])
    assert "it is failed" in str(error.value) and "  no such class" in str(error.value)
    assert "systemctl status app.service" in str(error.value)
