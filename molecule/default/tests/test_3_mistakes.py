# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes and faults: the message names cause and fix, and what ran before still runs.

More of them, each against a real server and without a whole site, are in tests/unit.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(name="still_healthy", autouse=True)
def healthy_after_each(testbed, wait_until):
    yield
    wait_until(lambda: testbed.health()["status"] == "ok", 60, "the testbed healthy again")


def indexes(testbed, **changes):
    token = testbed.secrets()["index_token"]
    index = {
        "name": "swf",
        "url": "http://127.0.0.1:%d/simple/" % testbed.ports["index"],
        "username": "swf",
        "token": token,
        "packages": ["swf-*"],
    }
    return json.dumps({"swf_testbed_pip_indexes": [dict(index, **changes), {"name": "pypi"}]})


def new_lock(tmp_path):
    return "swf_testbed_release_lock_file=%s" % (tmp_path / "new.txt")


def test_wrong_token(testbed, play, tmp_path):
    wrong = "0123456789abcdef0123456789abcdef01234567"
    done = play("-e", indexes(testbed, token=wrong), "-e", new_lock(tmp_path), limit=testbed.name)
    assert done.returncode != 0
    assert "rejected the credentials" in done.stdout
    assert "Check username and token of swf in swf_testbed_pip_indexes" in done.stdout
    assert wrong not in done.stdout + done.stderr


def test_taken_port_is_named_before_anything_changes(testbed, play):
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        done = play("-e", "swf_testbed_monitor_port=%d" % port, limit=testbed.name)
    assert done.returncode != 0 and "changed=0" in done.stdout
    assert "port %d for monitor is in use by" % port in done.stdout
    assert "swf_testbed_monitor_port" in done.stdout


@pytest.mark.nightly
def test_a_program_that_exits(testbed, play):
    bad = json.dumps(
        {
            "swf_testbed_extra_components": [
                {"name": "bad", "command": "/bin/sh -c 'echo the cause is here; exit 7'"}
            ],
            "swf_testbed_wait_timeout": 40,
        }
    )
    done = play("-e", bad, limit=testbed.name)
    assert done.returncode != 0
    assert (
        "bad is FATAL" in done.stdout
        and "exit status 7" in done.stdout
        and "the cause is here" in done.stdout
    )
    # without it, all is well again, and only it is touched
    done = play(limit=testbed.name)
    assert done.returncode == 0, done.stdout


@pytest.mark.nightly
def test_a_dead_broker(testbed, play, wait_until):
    stop_program(testbed, "broker")
    wait_until(
        lambda: testbed.health()["status"] == "error",
        60,
        "the monitor to see that the broker is dead",
    )
    done = play(limit=testbed.name, playbook="playbooks/status.yml")
    assert done.returncode != 0
    assert "broker is STOPPED" in done.stdout and "broker, the end of " in done.stdout
    assert "the listener is unhealthy" in done.stdout
    assert play(limit=testbed.name, playbook="playbooks/start.yml").returncode == 0


def test_a_dead_daemon(testbed, play, wait_until):
    with open(testbed.path(".local/state/swf-testbed/run/supervisord.pid")) as stream:
        os.kill(int(stream.read()), 9)
    done = play(limit=testbed.name, playbook="playbooks/status.yml")
    assert done.returncode != 0 and "is stale" in done.stdout and "start.yml" in done.stdout
    done = play(limit=testbed.name, playbook="playbooks/start.yml")
    assert done.returncode == 0, done.stdout


def test_after_all_mistakes_nothing_is_wrong(testbed, play):
    done = play(limit=testbed.name, playbook="playbooks/status.yml")
    assert done.returncode == 0, done.stdout


def stop_program(testbed, name):
    conf = testbed.path(".config/swf-testbed/supervisord.conf")
    daemon = re.search(r"^supervisord = (\S+)$", conf.read_text(), re.MULTILINE)[1]
    subprocess.run([Path(daemon).with_name("supervisorctl"), "-c", conf, "stop", name], check=True)
