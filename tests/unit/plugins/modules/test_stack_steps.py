# SPDX-License-Identifier: GPL-3.0-or-later
"""Real commands, with a supervisord.conf as the role renders it; molecule runs the steps of a whole
stack."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from pathlib import Path

import pytest

from helpers.run_module import run_module

TOKEN, PASSWORD = "cafe0123" * 5, "pass'word %s"
CONF = """[swf-testbed]
release = {release}
secrets = {folder}/etc/secrets
unit = swf-stand-in.service

[program:monitor]
command = {folder}/tools/bin/python -I {folder}/etc/launch.py SWF_API_TOKEN={readable}/api_token -- serve
environment = DB_PASSWORD_FILE="{readable}/database_password",MODE="{mode}"
directory = {folder}/state

[program:agent]
command = agent
environment = MODE="agent"
directory = {folder}/state
"""


class Host:
    def __init__(self, folder):
        self.folder, self.release = folder, "r1"
        for name in ("etc/secrets", "state"):
            (folder / name).mkdir(parents=True)
        (folder / "state").chmod(0o777)
        self.secret("api_token", TOKEN)
        self.secret("database_password", PASSWORD)
        self.configure()

    def secret(self, name, text):
        path = self.folder / "etc/secrets" / name
        path.write_text(text + "\n")
        path.chmod(0o600)

    def configure(self, release="r1", mode="first", readable=None):
        self.release = release
        bin_dir = self.folder / "root/releases" / release / "bin"
        bin_dir.mkdir(parents=True, exist_ok=True)
        text = CONF.format(
            folder=self.folder,
            release=bin_dir.parent,
            mode=mode,
            readable=readable or self.folder / "etc/secrets",
        )
        (self.folder / "etc/supervisord.conf").write_text(text)

    def program(self, name, text):
        path = self.folder / "root/releases" / self.release / "bin" / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    def activate(self):
        link = self.folder / "root/current"
        link.unlink(missing_ok=True)
        link.symlink_to("releases/" + self.release)

    def run(self, *steps, check=False, **more):
        arguments = {
            "config": str(self.folder / "etc/supervisord.conf"),
            "release": str(self.folder / "root/releases" / self.release),
            "steps": [{"component": "monitor", **step} for step in steps],
            **more,
        }
        answer = run_module("stack_steps", arguments, check=check)
        text = json.dumps(answer)
        assert not any(secret in text for secret in (TOKEN, TOKEN[::-1], "pass'word")), answer
        return answer

    def done(self):
        path = self.folder / "state/done"
        return path.read_text().split() if path.exists() else []

    def record(self):
        return json.loads((self.folder / "etc/steps.json").read_text())


@pytest.fixture(name="host")
def a_host():
    # not in tmp_path, which another user cannot enter
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        os.chmod(scratch, 0o755)
        yield Host(Path(scratch))


def results(answer):
    return [item["result"] for item in answer["steps"]]


MIGRATE = {"name": "migrate", "command": "manage migrate"}
COLLECT = {"name": "collect", "command": "manage collect"}
TOUCH = 'echo "$1" >>done\n'


def test_the_steps_run_in_order_and_once_per_release(host):
    host.program("manage", TOUCH)
    assert results(host.run(MIGRATE, COLLECT, check=True)) == ["due", "due"]
    assert host.done() == [] and not (host.folder / "etc/steps.json").exists()
    answer = host.run(MIGRATE, COLLECT)
    assert answer["changed"] and results(answer) == ["ran", "ran"], answer
    assert host.done() == ["migrate", "collect"]
    assert stat.S_IMODE((host.folder / "etc/steps.json").stat().st_mode) == 0o600
    host.activate()
    for check in (True, False):
        answer = host.run(MIGRATE, COLLECT, check=check)
        assert not answer["changed"] and results(answer) == ["recorded", "recorded"], answer
    assert host.done() == ["migrate", "collect"]
    # another release, and back to the first
    host.configure("r2")
    host.program("manage", TOUCH)
    assert host.run(MIGRATE)["changed"] and sorted(host.record()) == ["r1", "r2"]
    host.configure("r1")
    assert not host.run(MIGRATE)["changed"] and host.done() == ["migrate", "collect", "migrate"]


def test_a_removed_release_is_forgotten(host):
    host.program("manage", TOUCH)
    host.run(MIGRATE)
    (host.folder / "root/releases/r1/bin/manage").unlink()
    (host.folder / "root/releases/r1/bin").rmdir()
    (host.folder / "root/releases/r1").rmdir()
    host.configure("r2")
    host.program("manage", TOUCH)
    host.run(MIGRATE)
    assert list(host.record()) == ["r2"]


@pytest.mark.parametrize("changed", ["command", "environment", "secret"])
def test_a_step_that_changed_runs_again(host, changed):
    host.program("manage", TOUCH)
    host.run(MIGRATE, COLLECT)
    host.activate()
    step = MIGRATE
    if changed == "command":
        step = dict(MIGRATE, command="manage migrate --fast")
    elif changed == "environment":
        host.configure(mode="second")
    else:
        host.secret("api_token", TOKEN[::-1])
    expected = ["ran", "recorded"] if changed == "command" else ["ran", "ran"]
    assert results(host.run(step, COLLECT)) == expected


def test_check_mode_before_there_is_a_new_secret(host):
    host.program("manage", TOUCH)
    host.run(MIGRATE)
    host.activate()
    answer = host.run(dict(MIGRATE, input_secret="key"), dict(COLLECT, component="new"), check=True)
    assert not answer["failed"] and results(answer) == ["due", "due"]


def test_a_secret_that_came_with_a_failed_release_is_replaced_again(host):
    host.program("manage", TOUCH)
    host.run(MIGRATE, dict(COLLECT, component="agent"))
    host.activate()
    host.configure("r2")
    host.program("manage", TOUCH)
    host.secret("api_token", TOKEN[::-1])
    host.run(MIGRATE, dict(COLLECT, component="agent"))
    # its gate failed
    host.configure("r1")
    host.secret("api_token", TOKEN)
    assert results(host.run(MIGRATE, dict(COLLECT, component="agent"))) == ["ran", "recorded"]


def test_a_step_for_a_rollback_replaces_the_result_of_other_releases(host):
    collect = dict(COLLECT, rollback=True)
    host.program("manage", TOUCH)
    host.run(MIGRATE, collect)
    host.activate()
    host.configure("r2")
    host.program("manage", 'echo "part of $1" >>done; [ "$1" != collect ]\n')
    assert host.run(MIGRATE, collect)["failed"]
    # the rollback of the failed release, which runs no other step
    host.configure("r1")
    assert results(host.run(collect)) == ["ran"]
    assert results(host.run(MIGRATE, collect)) == ["recorded", "recorded"]
    # and one that somebody asked for
    host.configure("r2")
    host.program("manage", TOUCH)
    host.run(MIGRATE, collect)
    host.activate()
    host.configure("r1")
    assert results(host.run(collect)) == ["ran"]
    host.activate()
    assert results(host.run(MIGRATE, collect)) == ["recorded", "recorded"]


def test_a_release_that_is_not_active_starts_with_the_first_step_again(host):
    """Between the attempts somebody may have restored the database."""
    host.program("manage", '[ "$1" != collect ] || exit 1\n' + TOUCH)
    answer = host.run(MIGRATE, COLLECT)
    assert answer["failed"] and results(answer) == ["ran"]
    host.program("manage", TOUCH)
    assert results(host.run(MIGRATE, COLLECT)) == ["ran", "ran"]
    assert host.done() == ["migrate", "migrate", "collect"]


def test_a_failed_step_is_explained_and_ends_the_steps(host):
    host.program(
        "manage",
        'echo a first line; echo "no table x, token $SWF_API_TOKEN" >&2; cat "$DB_PASSWORD_FILE"; exit 3\n',
    )
    answer = host.run(MIGRATE, COLLECT)
    assert answer["failed"] and answer["steps"] == []
    assert answer["msg"].startswith(
        "The step migrate failed. Evidence: manage migrate ended with the status 3 and printed:\n"
        "a first line\nno table x, token ***\n***"
    ), answer["msg"]
    assert "Fix: remove the cause, then run site.yml again" in answer["msg"]
    assert host.done() == [] and host.record() == {"r1": {}}


def test_the_output_is_cut_to_its_end(host):
    host.program("manage", "seq 100000; echo the end\n")
    (step,) = host.run(MIGRATE, log_tail=20)["steps"]
    assert step["output"].endswith("100000\nthe end") and len(step["output"]) <= 20


def test_a_step_is_not_needed_if_its_condition_holds(host):
    host.program("manage", TOUCH)
    step = dict(MIGRATE, unless="manage asked")
    answer = host.run(step)
    assert not answer["changed"] and results(answer) == ["unneeded"] and host.done() == ["asked"]
    host.activate()
    assert results(host.run(step)) == ["recorded"]
    answer = host.run(dict(step, unless="/bin/false"))
    assert answer["changed"] and results(answer) == ["ran"]


def test_a_step_has_what_its_program_has(host):
    """The secret that it reads from a file is readable although the unit, and with it the directory of
    its credentials, may not exist."""
    host.configure(readable="/run/credentials/swf-stand-in.service", mode="it's 100%%")
    host.program(
        "manage",
        'pwd; echo "$MODE|$SWF_STEP"; cat "$DB_PASSWORD_FILE"; echo "$DB_PASSWORD_FILE"; umask\n'
        "tr -d a-f </proc/$$/cmdline | grep -q 01230123 && echo on the command line\n"
        'stat -c %a "$DB_PASSWORD_FILE" "$(dirname "$DB_PASSWORD_FILE")"\n'
        'echo "${#SWF_API_TOKEN}"; cat\n',
    )
    (step,) = host.run(dict(MIGRATE, input_secret="api_token"))["steps"]
    lines = step["output"].splitlines()
    copy = lines.pop(3)
    assert lines == [
        str(host.folder / "state"),
        "it's 100%|monitor/migrate",
        "***",
        "0027",
        "600",
        "700",
        "40",
        "***",
    ]
    assert not os.path.exists(copy) and not copy.startswith("/run/credentials")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_step_runs_as_the_runtime_user(host):
    host.program("manage", 'id -un; id -Gn; cat "$DB_PASSWORD_FILE"\n')
    (step,) = host.run(MIGRATE, user="nobody")["steps"]
    assert step["output"].splitlines() == ["nobody", "nogroup", "***"], step
    assert (host.folder / "etc/steps.json").stat().st_uid == 0


def test_a_step_without_secrets_of_another_component(host):
    host.program("manage", 'echo "$MODE${SWF_API_TOKEN-}"\n')
    (step,) = host.run(dict(MIGRATE, component="agent"))["steps"]
    assert step["output"] == "agent"


def test_at_the_timeout_all_processes_of_the_step_end(host):
    host.program("manage", 'trap "" TERM; sleep 1000 & echo $! >child; echo it hangs; wait; wait\n')
    began = time.monotonic()
    answer = host.run(dict(MIGRATE, timeout=1))
    assert time.monotonic() - began < 30
    assert "The step migrate timed out and was ended. Evidence:" in answer["msg"], answer
    assert "did not end in 1 s and printed:\nit hangs" in answer["msg"]
    child = (host.folder / "state/child").read_text().strip()
    fields = Path("/proc/%s/stat" % child)
    assert not fields.exists() or fields.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_process_that_a_step_leaves_behind_is_no_reason_to_wait(host):
    host.program("manage", "setsid sleep 20 & echo done\n")
    began = time.monotonic()
    assert results(host.run(MIGRATE)) == ["ran"] and time.monotonic() - began < 15


@pytest.mark.parametrize(
    "step, expected",
    [
        ({"command": "gone"}, "The step migrate cannot start. Evidence: gone: No such file"),
        ({"component": "else"}, "has no program else"),
        ({"input_secret": "key"}, "A secret of a step is missing"),
        ({"command": "manage 'x"}, "No closing quotation"),
    ],
)
def test_what_cannot_run_is_explained(host, step, expected):
    answer = host.run({**MIGRATE, **step})
    assert answer["failed"] and expected in answer["msg"] and "Fix: " in answer["msg"], answer


def test_the_configuration_of_another_release_is_refused(host):
    host.program("manage", TOUCH)
    host.configure("r2")
    host.release = "r1"
    answer = host.run(MIGRATE)
    assert "another run works on this host" in answer["msg"] and host.done() == []


def test_a_damaged_record_runs_the_steps_again(host):
    host.program("manage", TOUCH)
    host.run(MIGRATE)
    host.activate()
    (host.folder / "etc/steps.json").write_text("{")
    assert results(host.run(MIGRATE)) == ["ran"] and list(host.record()) == ["r1"]
