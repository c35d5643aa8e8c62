# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher starts a program that takes secrets from its environment only."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "roles/_instance/files/launch.py"
TOKEN, PASSWORD = "cafe0123" * 5, " a 'b' \"c\" $(id) %s é"
SHOW = "import json, os; print(json.dumps([dict(os.environ), open('/proc/self/cmdline').read()]))"


@pytest.fixture(name="secrets")
def files_with_secrets(tmp_path):
    found = {"SWF_API_TOKEN": tmp_path / "api_token", "DB_PASSWORD": tmp_path / "password"}
    for path, text in zip(found.values(), (TOKEN, PASSWORD)):
        path.write_text(text + "\n", encoding="utf-8")
    return ["%s=%s" % pair for pair in found.items()]


def launched(*arguments):
    return [sys.executable, "-I", str(SCRIPT), *arguments]


def run(*arguments):
    return subprocess.run(
        launched(*arguments), capture_output=True, text=True, check=False, env={"OTHER": "stays"}
    )


def test_two_secrets_are_in_the_environment_and_not_on_the_command_line(secrets):
    done = run(*secrets, "--", sys.executable, "-c", SHOW, "an argument")
    assert done.returncode == 0, done.stderr
    environment, command = json.loads(done.stdout)
    assert (environment["SWF_API_TOKEN"], environment["DB_PASSWORD"]) == (TOKEN, PASSWORD)
    assert environment["OTHER"] == "stays"
    # not even their files: nothing of the launcher is left
    assert command.split("\0") == [sys.executable, "-c", SHOW, "an argument", ""]


def test_a_missing_file_is_named_and_nothing_starts(secrets, tmp_path):
    done = run(*secrets, "KEY=%s/key" % tmp_path, "--", "/bin/echo", "started")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == [
        "The secret for KEY cannot be read. Evidence: %s/key: No such file or directory. "
        "Fix: run site.yml, which places it" % tmp_path
    ]


def test_a_missing_program_is_named(secrets):
    done = run(*secrets, "--", "/nowhere/program")
    assert done.returncode == 1
    assert done.stderr.startswith("/nowhere/program cannot be started. Evidence: No such file")
    assert TOKEN not in done.stderr


def test_the_exit_status_is_that_of_the_program(secrets):
    assert run(*secrets, "--", "/bin/sh", "-c", "exit 7").returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1])
def test_signals_reach_the_program(secrets, number):
    waits = (
        "import os, signal, sys\n"
        "for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1):\n"
        "    signal.signal(number, lambda number, frame: sys.exit(number))\n"
        "print(os.getpid(), flush=True)\n"
        "while True: signal.pause()\n"
    )
    command = launched(*secrets, "--", sys.executable, "-c", waits)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        # it replaced the launcher
        assert int(process.stdout.readline()) == process.pid
        process.send_signal(number)
        assert process.wait(30) == number
