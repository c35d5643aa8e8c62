# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that the unit runs before supervisord, after a rollback at boot: the script as systemd calls
it, with the real parser of supervisord and the real launcher."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

FILES = Path(__file__).resolve().parents[3] / "roles/_instance/files"
TOKEN = "cafe0123" * 5
CONF = """
[supervisord]
logfile = {top}/supervisord.log

[program:monitor]
command = {python} -I {files}/launch.py SECRET_KEY={top}/secrets/key -- {top}/1/bin/serve
environment = OF="the component"
directory = {top}/state
stdout_logfile = {top}/monitor.log

[program:server]
command = {top}/1/bin/server
stdout_logfile = {top}/server.log
stopsignal = USR1
"""
SERVER = """#!/bin/sh
trap 'rm {top}/ready; echo stopped; exit' USR1
touch {top}/ready
while :; do sleep 0.05; done
"""
COLLECT = """#!/bin/sh
[ -e {top}/ready ] && [ ${{#SECRET_KEY}} = 9 ] && [ "$(wc -c)" = 41 ] && echo "$PWD $OF $SWF_STEP" >done
"""


@pytest.fixture(name="boot")
def make_boot(tmp_path):
    release = tmp_path / "1"
    for folder in ("secrets", "state", "1/bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "secrets/key").write_text("a secret!\n")
    (tmp_path / "secrets/api_token").write_text(TOKEN + "\n")
    values = {"top": tmp_path, "python": sys.executable, "files": FILES}
    for name, text in {"server": SERVER, "collect": COLLECT}.items():
        (release / "bin" / name).write_text(text.format(**values))
        (release / "bin" / name).chmod(0o755)
    conf = tmp_path / "supervisord.conf"
    conf.write_text(CONF.format(**values))

    def boot(*steps, services=(), due=True):
        saved = {"release": str(release), "user": "", "steps": steps, "services": services}
        text = "# Written by bnlnpps.swf_testbed\n%s\n" % json.dumps({"stack_steps": saved})
        (tmp_path / "health.json").write_text(text)
        if due:
            (tmp_path / "rollback_steps.due").touch()
        done = subprocess.run(
            [sys.executable, "-I", FILES / "rollback_steps.py", conf, tmp_path / "secrets"],
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return SimpleNamespace(run=boot, top=tmp_path)


def step(name, command, **more):
    return {"name": name, "component": "monitor", "command": command, **more}


def test_a_step_gets_what_its_program_gets_and_the_servers_run(boot):
    services = [{"name": "server", "ready": "test -e %s/ready" % boot.top}]
    collect = step("collect", "collect", input_secret="api_token")
    output = boot.run(collect, services=services)
    assert output == "The step 'collect' ran\n"
    state = boot.top / "state"
    assert (state / "done").read_text() == "%s the component monitor/collect\n" % state
    assert (boot.top / "server.log").read_text() == "stopped\n"
    assert not (boot.top / "ready").exists()


def test_a_failed_step_does_not_prevent_the_next_one(boot):
    output = boot.run(
        step("one", "/bin/false", unless="/bin/false"),
        step("two", "/bin/sh -c 'echo in the log; sleep 100'", timeout=0.3),
        step("three", "missing", component="server"),
        step("four", "/bin/false", unless="/bin/true"),
        step("five", "/bin/true"),
    )
    assert "The step 'one' failed. Evidence: it ended with 1; see %s" % boot.top in output
    assert "The step 'two' failed. Evidence: it did not end in time" in output
    assert "The step 'three' failed. Evidence: [Errno 2] No such file" in output
    assert "The step 'four' is not needed\nThe step 'five' ran\n" in output
    assert "in the log" in (boot.top / "monitor.log").read_text()


def test_without_a_rollback_nothing_runs(boot):
    assert boot.run(step("one", "/bin/touch %s/ran" % boot.top), due=False) == ""
    assert not (boot.top / "ran").exists()
