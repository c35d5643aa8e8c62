# SPDX-License-Identifier: GPL-3.0-or-later
"""Against real supervisord daemons."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest
from supervisord_host import BASE, until

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._daemon import alive
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._programs_of import programs_of
from run_module import run_module

EXECUTABLE = str(Path(sys.executable).parent / "supervisord")
CONF = BASE.replace("identifier=test\n{supervisord}", "identifier=IDENTIFIER") + """
[swf-testbed]
supervisord=EXECUTABLE
[program:sleeps]
command=sleep 1000
startsecs=0
"""


class Place:
    def __init__(self, folder):
        self.folder, self.conf, self.socket = folder, folder / "supervisord.conf", str(folder / "s.sock")
        self.configure("one")

    def configure(self, identifier, executable=EXECUTABLE):
        self.conf.write_text(CONF.replace("IDENTIFIER", identifier).replace("EXECUTABLE", executable))

    def run(self, check=False, diff=False, **options):
        return run_module(
            "supervisor_daemon",
            dict({"config": str(self.conf), "timeout": 30}, **options),
            check=check,
            diff=diff,
            env=dict(os.environ, SWF_FROM_THE_SHELL="1"),
        )


@pytest.fixture(name="place")
def folder_with_a_configuration():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        place = Place(Path(folder))
        yield place
        place.run(state="stopped")


def test_starts_once_and_stops_once(place):
    assert place.run(check=True)["changed"] and not os.path.exists(place.socket)
    started = place.run()
    assert started["changed"] and started["pid"], started
    again = place.run()
    assert not again["changed"] and again["pid"] == started["pid"]
    program = until(lambda: programs_of(place.socket), "the program")
    assert place.run(state="stopped", check=True)["changed"] and programs_of(place.socket) == program
    assert place.run(state="stopped")["changed"]
    assert programs_of(place.socket) == [] and not alive(started["pid"])
    assert not place.run(state="stopped")["changed"]


def test_another_identifier_means_a_restart(place):
    first = place.run()["pid"]
    place.configure("two")
    predicted = place.run(check=True, diff=True)
    assert predicted["changed"] and predicted["diff"] == {
        "before": "running as one\n",
        "after": "running as two\n",
    }
    second = place.run()
    assert second["changed"] and second["pid"] != first and not place.run()["changed"]


def test_a_secret_that_was_changed_means_a_restart(place):
    secrets = place.folder / "secrets"
    secrets.mkdir()
    (secrets / "token").write_text("one")
    place.conf.write_text(place.conf.read_text().replace("[swf-testbed]", "[swf-testbed]\nsecrets=%s" % secrets))
    first = place.run()["pid"]
    assert not place.run()["changed"]
    # the clock was set back by two hours since: both times are to come
    later = time.time() + 7200
    os.utime(secrets / "token", (later, later))
    os.utime(place.socket, (later + 1, later + 1))
    assert not place.run()["changed"]
    # it was set back between the secret and the start: one restart, and not one with each run
    os.utime(place.socket)
    assert place.run(check=True)["changed"]
    second = place.run()
    assert second["changed"] and second["pid"] != first and not place.run()["changed"]
    (secrets / "token").write_text("two")
    assert place.run()["changed"] and not place.run()["changed"]


def test_what_a_killed_daemon_left_is_ended(place):
    pid = place.run()["pid"]
    orphan = until(lambda: programs_of(place.socket), "the program")
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), "its end")
    assert programs_of(place.socket) == orphan
    assert place.run(check=True)["changed"] and programs_of(place.socket) == orphan
    assert place.run()["changed"]
    assert orphan[0] not in until(lambda: programs_of(place.socket), "the program again")


def test_settings_of_the_shell_do_not_reach_the_programs(place):
    place.run()
    program = until(lambda: programs_of(place.socket), "the program")[0]
    assert b"SWF_FROM_THE_SHELL" not in Path("/proc/%d/environ" % program).read_bytes()


def test_nothing_to_stop_where_nothing_was_installed(tmp_path):
    answer = run_module("supervisor_daemon", {"config": str(tmp_path / "none.conf"), "state": "stopped"})
    assert not answer["failed"] and not answer["changed"]


def test_what_is_missing_is_named(place, tmp_path):
    assert (
        "There is no configuration file"
        in run_module("supervisor_daemon", {"config": str(tmp_path / "none.conf")})["msg"]
    )
    place.configure("one", "/no/such/supervisord")
    assert "cannot start /no/such/supervisord" in place.run()["msg"]
    place.conf.write_text(
        place.conf.read_text().replace("[program:sleeps]\ncommand=sleep 1000", "[program:sleeps]")
    )
    answer = place.run(executable=EXECUTABLE)
    assert "did not start" in answer["msg"] and "program:sleeps" in answer["msg"], answer
