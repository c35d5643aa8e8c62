# SPDX-License-Identifier: GPL-3.0-or-later
"""Gate, rollback, status and doctor of a stack file with probes, and of one without: the roles and
playbooks, with a real supervisord and a real HTTP server."""

from __future__ import annotations

import json
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
# preflight, which finds the layout, is not run here
GATE = """
- hosts: testbed
  gather_facts: false
  roles:
    - bnlnpps.swf_testbed.common
  tasks:
    - import_role: {name: bnlnpps.swf_testbed.testbed, tasks_from: change_over}
"""


@pytest.fixture(name="broker")
def something_that_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(name="play")
def run_a_playbook(tmp_path, broker):
    def run(playbook, home, probes, *arguments, **variables):
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
                *arguments,
                str(playbook),
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


@pytest.mark.nightly
def test_status_and_doctor_ask_the_probes_of_the_stack(play):
    status, doctor = (ROOT / "playbooks" / name for name in ("status.yml", "doctor.yml"))
    with probed_instance() as (_host, _places, home, server):
        code, output = play(status, home, server.probes())
        assert code == 0 and "The testbed is healthy." in output, output[-3000:]
        code, output = play(doctor, home, server.probes())
        assert code == 0 and NOT_CHECKED not in output, output[-3000:]
        server.pages["/listener"] = 200, {"listener": {"subscribed": False}}
        seen = "failed: listener.subscribed is false, and must be true"
        for playbook in (status, doctor):
            code, output = play(playbook, home, server.probes())
            assert code and seen in output and "healthy." not in output, output[-3000:]


@pytest.mark.nightly
def test_without_probes_the_health_is_not_good_but_unknown(play):
    status, doctor = (ROOT / "playbooks" / name for name in ("status.yml", "doctor.yml"))
    with probed_instance() as (_host, _places, home, server):
        off = {"swf_testbed_health_probes": []}
        for probes, switched_off in (([], {}), (server.probes(), off)):
            code, output = play(status, home, probes, **switched_off)
            assert code == 0 and NOT_CHECKED in output, output[-3000:]
            assert "is healthy" not in output
        code, output = play(doctor, home, [])
        assert code == 0 and NOT_CHECKED in output, output[-3000:]


@pytest.mark.nightly
def test_the_gate_and_the_rollback_use_the_probes(play, tmp_path):
    (tmp_path / "gate.yml").write_text(GATE)
    with probed_instance() as (host, places, home, server):

        def gate(known_good=True, **variables):
            release = {"id": "1", "active": "1", "known_good": known_good}
            release["path"] = places["root"] + "/releases/1"
            code, output = play(
                tmp_path / "gate.yml",
                home,
                server.probes(),
                "-e",
                json.dumps({"swf_testbed_layout": dict(places, managed=False)}),
                swf_testbed_release=release,
                swf_testbed_min_uptime=1,
                swf_testbed_health_timeout=2,
                **variables,
            )
            return code, " ".join(output.replace("\\n", " ").split())

        code, output = gate(known_good=False)
        assert code == 0, output[-3000:]
        server.pages["/listener"] = 200, {"listener": {"subscribed": False}}
        code, output = gate()
        fault = 'the probe "the listener is subscribed" of ear'.replace('"', '\\"')
        assert code and fault in output, output[-3000:]
        # the cause is not the release: the same probe fails after the rollback
        assert "The end of the log of ear: the listener said this" in output
        assert "THE PREVIOUS RELEASE 1 FAILS, TOO. Evidence: The testbed" in output

        # a configuration with which a program does not run
        good = host.conf.read_text()
        off = {"swf_testbed_health_probes": []}
        for variables, verdict in (({}, "healthy."), (off, "running; health not checked.")):
            worker = host.pids()["worker:worker"]
            server.is_well(worker)
            host.conf.write_text(
                good + "[program:hasty]\ncommand=/bin/false\nstartsecs=1\nstartretries=0\n"
            )
            code, output = gate(**variables)
            assert code and "hasty is FATAL" in output, output[-3000:]
            assert "is active again, with its configuration, and is " + verdict in output
            assert host.conf.read_text() == good
