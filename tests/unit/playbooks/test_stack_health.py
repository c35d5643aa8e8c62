# SPDX-License-Identifier: GPL-3.0-or-later
"""Status and doctor of a stack file with probes, and of one without: the playbooks, with a real
supervisord and a real HTTP server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.ports import free_port
from helpers.probed_host import COMPONENTS, probed_instance

ROOT = Path(__file__).resolve().parents[3]
NOT_CHECKED = "The testbed is running; health not checked"


@pytest.fixture(name="broker")
def something_that_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(name="play")
def run_a_playbook(tmp_path, broker):
    def run(name, home, probes, **variables):
        """(exit status, output) of a playbook on this machine."""
        stack = {
            "title": "A stack of the tests",
            "requires": {"python": "3.10"},
            "components": [dict(item, command="/bin/sleep 1000") for item in COMPONENTS],
            "health": {"probes": probes},
        }
        (tmp_path / "stack.yml").write_text(yaml.safe_dump(stack))
        everything = {
            "swf_testbed_stack": str(tmp_path / "stack.yml"),
            "swf_testbed_systemd": "never",
            # no index is asked for the packages of a release
            "swf_testbed_release_mode": "push",
            "swf_testbed_broker_port": broker,
            "swf_testbed_monitor_port": free_port(),
            "swf_testbed_pip_indexes": [
                {"name": "local", "url": str(tmp_path), "preset": "directory", "role": "primary"}
            ],
            **variables,
        }
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {"testbed": {"hosts": {"here": host}, "vars": everything}}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                "hosts.yml",
                str(ROOT / "playbooks" / name),
            ],
            cwd=tmp_path,
            env=dict(
                os.environ,
                ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
                HOME=home,
                ANSIBLE_HOME=str(tmp_path / "ansible"),
                ANSIBLE_DEPRECATION_WARNINGS="0",
            ),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout

    return run


def test_status_and_doctor_ask_the_probes_of_the_stack(play):
    with probed_instance() as (_host, _places, home, server):
        code, output = play("status.yml", home, server.probes())
        assert code == 0 and "The testbed is healthy." in output, output[-3000:]
        code, output = play("doctor.yml", home, server.probes())
        assert code == 0 and NOT_CHECKED not in output, output[-3000:]
        server.pages["/listener"] = 200, {"listener": {"subscribed": False}}
        seen = "failed: listener.subscribed is false, and must be true"
        for playbook in ("status.yml", "doctor.yml"):
            code, output = play(playbook, home, server.probes())
            assert code and seen in output and "healthy." not in output, output[-3000:]


def test_without_probes_the_health_is_not_good_but_unknown(play):
    with probed_instance() as (_host, _places, home, server):
        for probes, switched_off in (
            ([], {}),
            (server.probes(), {"swf_testbed_health_probes": []}),
        ):
            code, output = play("status.yml", home, probes, **switched_off)
            assert code == 0 and NOT_CHECKED in output, output[-3000:]
            assert "is healthy" not in output
        code, output = play("doctor.yml", home, [])
        assert code == 0 and NOT_CHECKED in output, output[-3000:]
