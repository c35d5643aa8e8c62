# SPDX-License-Identifier: GPL-3.0-or-later
"""Against real supervisord daemons."""

from __future__ import annotations

import concurrent.futures
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import alive
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import (
    STARTING_SECONDS,
    daemons_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.running import (
    programs_of,
)
from helpers.run_module import run_module
from helpers.supervisord_host import BASE, until

EXECUTABLE = str(Path(sys.executable).parent / "supervisord")
CONF = (
    BASE.replace("identifier=test\n{supervisord}", "identifier=IDENTIFIER")
    + """
[swf-testbed]
supervisord=EXECUTABLE
[program:sleeps]
command=sleep 1000
startsecs=0
"""
)


class Place:
    def __init__(self, folder):
        self.folder, self.conf, self.socket = (
            folder,
            folder / "supervisord.conf",
            str(folder / "s.sock"),
        )
        self.configure("one")

    def configure(self, identifier, executable=EXECUTABLE):
        self.conf.write_text(
            CONF.replace("IDENTIFIER", identifier).replace("EXECUTABLE", str(executable))
        )

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
    second = place.run()
    assert not second["changed"] and second["pid"] == started["pid"]
    program = until(lambda: programs_of(place.socket), "the program")
    assert (
        place.run(state="stopped", check=True)["changed"] and programs_of(place.socket) == program
    )
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
    place.conf.write_text(
        place.conf.read_text().replace("[swf-testbed]", "[swf-testbed]\nsecrets=%s" % secrets)
    )
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


def lose(place, loss):
    """What a daemon is reached by, gone."""
    os.unlink(place.socket)
    if loss == "pid file":
        (place.folder / "supervisord.pid").unlink()
    elif loss == "replaced":
        Path(place.socket).touch()
    elif loss == "another listens":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(place.socket)
    # a younger one may still be making its socket
    time.sleep(STARTING_SECONDS + 0.2)


@pytest.mark.parametrize("loss", ["socket", "pid file", "replaced", "another listens"])
def test_a_daemon_that_lost_its_socket_is_not_doubled(place, loss):
    first = place.run()["pid"]
    program = until(lambda: programs_of(place.socket), "the program")
    lose(place, loss)
    predicted = place.run(check=True, diff=True)
    assert predicted["changed"] and predicted["without_socket"] == [first] and alive(first)
    assert predicted["diff"]["before"] == "pid %d, not reached at its socket\n" % first
    done = place.run()
    assert done["changed"] and done["pid"] != first and not alive(first), done
    assert "supervisord (pid %d) runs, but its socket was removed" % first in str(done["warnings"])
    assert program[0] not in until(lambda: programs_of(place.socket), "the program again")
    assert len(programs_of(place.socket)) == 1
    again = place.run()
    assert not again["changed"] and "unreachable" not in again


def test_a_daemon_that_lost_its_socket_is_stopped(place):
    pid = place.run()["pid"]
    program = until(lambda: programs_of(place.socket), "the program")
    lose(place, "pid file")
    assert place.run(state="stopped", check=True)["changed"] and alive(pid)
    assert place.run(state="stopped")["changed"]
    assert not alive(pid) and not alive(program[0])
    assert not place.run(state="stopped")["changed"]


def test_two_daemons_of_one_configuration_become_one(place):
    first = place.run()["pid"]
    lose(place, "pid file")
    # as an earlier version did, but for the relative path
    subprocess.run([EXECUTABLE, "--configuration=supervisord.conf"], cwd=place.folder, check=True)
    until(lambda: os.path.exists(place.socket), "the second one")
    until(lambda: len(programs_of(place.socket)) == 2, "both programs")
    done = place.run()
    assert done["changed"] and done["without_socket"] == [first]
    until(lambda: len(programs_of(place.socket)) == 1, "one program")
    assert daemons_of(str(place.conf)) == [done["pid"]]
    assert not place.run()["changed"]


def test_a_daemon_whose_configuration_was_removed_is_stopped(place):
    pid = place.run()["pid"]
    text = place.conf.read_text()
    place.conf.unlink()
    try:
        time.sleep(STARTING_SECONDS + 0.2)
        answer = place.run(state="stopped")
        assert answer["changed"] and answer["without_socket"] == [pid] and not alive(pid)
    finally:
        place.conf.write_text(text)


def test_other_processes_are_not_taken_for_the_daemon(place):
    commands = [
        ["sh", "-c", "sleep 100; :", "supervisord", "-c", str(place.conf)],
        [
            "sh",
            "-c",
            "sleep 100; :",
            "python3",
            "-m",
            "supervisor.supervisorctl",
            "-c",
            str(place.conf),
        ],
    ]
    others = [subprocess.Popen(command, start_new_session=True) for command in commands]
    try:
        assert daemons_of(str(place.conf)) == []
    finally:
        for other in others:
            os.killpg(other.pid, signal.SIGKILL)
            other.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="another PID namespace takes root")
def test_a_container_with_the_same_paths_is_left_alone(place):
    """A supervisord in a PID namespace of its own, as in a container, with the same configuration
    on its command line."""
    inside = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", EXECUTABLE, "-n", "-c", str(place.conf)]
    )
    try:
        until(lambda: os.path.exists(place.socket), "the daemon inside")
        time.sleep(0.5)
        assert daemons_of(str(place.conf)) == [] and programs_of(place.socket) == []
    finally:
        inside.kill()
        inside.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="a process of another user takes root")
def test_another_user_cannot_pretend_to_be_the_daemon(place):
    """It would be waited for until the time is up."""
    other = subprocess.Popen(
        ["/bin/bash", "-c", 'exec -a supervisord /bin/bash -s -- -c "$0"', str(place.conf)],
        user="nobody",
        stdin=subprocess.PIPE,
    )
    try:
        until(
            lambda: Path("/proc/%d/cmdline" % other.pid).read_bytes().startswith(b"supervisord"),
            "the other",
        )
        assert daemons_of(str(place.conf), str(place.folder)) == []
        os.chown(place.folder, pwd.getpwnam("nobody").pw_uid, -1)
        assert daemons_of(str(place.conf), str(place.folder)) == [other.pid], (
            "the instance's own user"
        )
    finally:
        other.kill()
        other.wait()


def test_settings_of_the_shell_do_not_reach_the_programs(place):
    place.run()
    program = until(lambda: programs_of(place.socket), "the program")[0]
    assert b"SWF_FROM_THE_SHELL" not in Path("/proc/%d/environ" % program).read_bytes()


def test_nothing_to_stop_where_nothing_was_installed(tmp_path):
    answer = run_module(
        "supervisor_daemon", {"config": str(tmp_path / "none.conf"), "state": "stopped"}
    )
    assert not answer["failed"] and not answer["changed"]


def test_what_is_missing_is_named(place, tmp_path):
    assert (
        "There is no configuration file"
        in run_module("supervisor_daemon", {"config": str(tmp_path / "none.conf")})["msg"]
    )
    place.configure("one", "/no/such/supervisord")
    assert "Cannot start /no/such/supervisord" in place.run()["msg"]
    place.conf.write_text(
        place.conf.read_text().replace("[program:sleeps]\ncommand=sleep 1000", "[program:sleeps]")
    )
    answer = place.run(executable=EXECUTABLE)
    assert "did not start" in answer["msg"] and "program:sleeps" in answer["msg"], answer


def test_two_runs_start_one_daemon(place):
    # so that each of them would find none
    slow = place.folder / "slow"
    slow.write_text('#!/bin/sh\nsleep 2\nexec %s "$@"\n' % EXECUTABLE)
    slow.chmod(0o755)
    place.configure("one", slow)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = [future.result() for future in [pool.submit(place.run) for _number in range(3)]]
    assert not any(answer["failed"] for answer in answers), answers
    assert sorted(answer["changed"] for answer in answers) == [False, False, True]
    assert len({answer["pid"] for answer in answers}) == 1
