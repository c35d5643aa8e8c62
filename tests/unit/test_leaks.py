# SPDX-License-Identifier: GPL-3.0-or-later
"""The scan for secrets in processes, and the one exception that it knows."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import launched
from helpers.leaks import ON_A_HOST, Leaks

TOKEN = "cafe0123" * 5
CONF = """[program:monitor]
command = /opt/x/bin/python -I /etc/x/launch.py SWF_API_TOKEN=/run/token KEY=/run/key -- /opt/x/bin/monitor -- 100%%

[program:agent]
command = /opt/x/bin/agent -- launch.py
"""


@pytest.fixture(name="declared")
def of_a_configuration(tmp_path):
    (tmp_path / "supervisord.conf").write_text(CONF)
    return launched.variables(str(tmp_path / "supervisord.conf"))


def test_the_launched_programs_of_a_configuration(declared):
    assert declared == {"monitor": ["KEY", "SWF_API_TOKEN"]}


@pytest.mark.parametrize(
    "environment, arguments, is_found",
    [
        ({"SUPERVISOR_PROCESS_NAME": "monitor", "SWF_API_TOKEN": TOKEN}, [], False),
        ({"SWF_STEP": "monitor/token", "SWF_API_TOKEN": TOKEN}, [], False),
        # in another variable, another program, another process, and on the command line
        ({"SUPERVISOR_PROCESS_NAME": "monitor", "OTHER": TOKEN}, [], True),
        ({"SUPERVISOR_PROCESS_NAME": "agent", "SWF_API_TOKEN": TOKEN}, [], True),
        ({"SWF_API_TOKEN": TOKEN}, [], True),
        ({"SUPERVISOR_PROCESS_NAME": "monitor"}, [TOKEN], True),
    ],
)
def test_declared_secrets_are_the_one_exception(declared, environment, arguments, is_found):
    command = [sys.executable, "-c", "print(flush=True); input()", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        process.stdout.readline()
        leaks = Leaks(TOKEN, declared=declared)
        leaks.all_processes()
        process.stdin.close()
    assert leaks.processes > 1 and bool(leaks.found) == is_found


def test_the_functions_run_alone():
    script = ON_A_HOST + "print(len(list(contents())), undeclared(b'A=1', {}))"
    done = subprocess.check_output([sys.executable, "-I", "-c", script], text=True)
    assert int(done.split()[0]) > 1 and done.split()[1] == "b'A=1'"
