# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers for the time of a step: a stand-in that shows its life by a file."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance import private_servers
from helpers.run_module import COLLECTIONS

SERVER = """
import os, signal, sys, time
def end(number, _frame):
    os.rename("ready", "ended-%d" % number)
    sys.exit(0)
signal.signal(signal.SIGINT, end)
os.chdir(sys.argv[1])
print("value", os.environ["VALUE"], flush=True)
open("ready", "w").close()
time.sleep(1000)
"""
CONF = """
[program:server]
command = {python} {here}/server.py {here} 50%%
environment = VALUE="a%%b"
stopsignal = INT
stdout_logfile = {here}/log
"""


@pytest.fixture(name="conf")
def a_configuration(tmp_path):
    (tmp_path / "server.py").write_text(SERVER)
    path = tmp_path / "supervisord.conf"
    path.write_text(CONF.format(python=sys.executable, here=tmp_path))
    return path


def services(conf):
    return [{"name": "server", "ready": "test -e %s/ready" % conf.parent}]


def test_a_server_runs_during_the_block_and_gets_its_own_signal(conf):
    with private_servers.served(str(conf), services(conf)) as started:
        assert started == ["server"] and (conf.parent / "ready").exists()
    assert (conf.parent / "ended-2").exists()
    assert (conf.parent / "log").read_text() == "value a%b\n"


def test_one_that_runs_already_is_left_alone(conf):
    (conf.parent / "ready").touch()
    with private_servers.served(str(conf), services(conf)) as started:
        assert started == []
    assert (conf.parent / "ready").exists() and not (conf.parent / "log").exists()


def test_it_ends_with_an_error_of_the_block_too(conf):
    with pytest.raises(KeyError), private_servers.served(str(conf), services(conf)):
        raise KeyError
    assert (conf.parent / "ended-2").exists()


def test_one_that_does_not_start_is_named(conf):
    (conf.parent / "server.py").write_text("raise SystemExit(7)")
    with (
        pytest.raises(private_servers.ServerError) as error,
        private_servers.served(str(conf), services(conf)),
    ):
        pass
    assert "server exited with 7" in str(error.value) and "Fix: " in str(error.value)


def test_it_ends_when_the_module_is_killed(conf):
    code = (
        "import sys; sys.path.insert(0, %r)\n"
        "from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance "
        "import private_servers\n"
        "with private_servers.served(%r, %r): print('up', flush=True); input()\n"
    ) % (str(COLLECTIONS), str(conf), services(conf))
    module = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    assert module.stdout.readline() == b"up\n"
    module.kill()
    module.wait()
    deadline = time.monotonic() + 20
    while not (conf.parent / "ended-2").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (conf.parent / "ended-2").exists()
