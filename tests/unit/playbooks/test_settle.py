# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that two hosts share: the role service and playbooks/settle.yml, with a real supervisord
for each host.

Releases are stand-ins without packages, and there is no monitor to ask; tests/faults and
molecule/lab have both.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from helpers.leaks import Leaks
from helpers.playbook import ROOT, TOOLS, environment, play
from helpers.stand_in_release import stand_in_release

# Writes down the secret that it was started with, and does not run with all of them. Only the shell
# itself reads a secret: the argument of a command would be found by the scan of processes.
PROGRAM = """cat %(secret)s > %(in_force)s
case $(cat %(secret)s) in refused-by-%(name)s) exit 7;; esac
exec sleep 1000
"""
CONF = """
[unix_http_server]
file={run}/s.sock

[supervisord]
logfile={run}/supervisord.log
pidfile={run}/supervisord.pid
identifier=test

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[swf-testbed]
supervisord = {tools}/bin/supervisord
release = {root}/releases/1-a
secrets = {config}/secrets

[program:reader]
command=sh {config}/program.sh
startsecs=1
startretries=0
"""
PLAY = """
- hosts: testbed
  gather_facts: false
  max_fail_percentage: 0
  vars:
    swf_testbed_settle_later: true
  roles:
    - bnlnpps.swf_testbed.common
  tasks:
    - name: Place the secrets
      bnlnpps.swf_testbed.config_files:
        directories: [{path: "{{ layout.secrets_dir }}", mode: "0700", purge: true}]
        files: "{{ passwords | map('combine', {'secret': true}) | list }}"
        known_good: "{{ swf_testbed_snapshots[0] }}"
      vars:
        passwords: [{dest: "{{ layout.secrets_dir }}/password", content: "{{ lookup('file', secret_file) }}"}]
      register: swf_testbed_secrets
"""
GATE = "    - import_role: {name: bnlnpps.swf_testbed.testbed, tasks_from: change_over}\n"
SETTLE = "- import_playbook: %s/playbooks/settle.yml\n" % ROOT


class Fleet:
    def __init__(self, folder):
        self.folder, hosts = folder, {}
        for name in ("one", "two"):
            config, root, run = (folder / name / part for part in ("etc", "opt", "run"))
            for place in (config, run):
                place.mkdir(parents=True)
            stand_in_release(root, "1-a")
            self.program(name).write_text(
                PROGRAM
                % {
                    "secret": config / "secrets/password",
                    "in_force": run / "in_force",
                    "name": name,
                }
            )
            conf = config / "supervisord.conf"
            conf.write_text(CONF.format(run=run, root=root, config=config, tools=TOOLS))
            layout = {
                "root": str(root),
                "secrets_dir": str(config / "secrets"),
                "access_dir": str(config / "pip"),
                "managed": False,
                "config_dir": str(config),
                "supervisord_conf": str(conf),
                "ca_file": str(config / "ca.pem"),
            }
            hosts[name] = {"layout": layout, "secret_file": str(folder / "secret")}
        everywhere = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_health_url": "",
            "swf_testbed_summary_url": "",
            "swf_testbed_components": [],
            "swf_testbed_min_uptime": 1,
            "swf_testbed_release": {"id": "1-a", "active": "1-a", "known_good": True, "path": ""},
            "swf_testbed_controller_dir": str(folder / "controller"),
        }
        groups = {"testbed": {"hosts": dict.fromkeys(hosts, {})}, "agents": {"hosts": {"two": {}}}}
        groups.update({name: {} for name in ("index", "database", "broker", "redis", "monitor")})
        (folder / "hosts.json").write_text(
            json.dumps({"all": {"hosts": hosts, "vars": everywhere, "children": groups}})
        )
        (folder / "play.yml").write_text(PLAY + GATE + SETTLE)
        (folder / "interrupted.yml").write_text(PLAY)
        # the role without our playbooks
        (folder / "role.yml").write_text(
            PLAY.replace("settle_later: true", "settle_later: false") + GATE
        )

    def program(self, name):
        return self.folder / name / "etc/program.sh"

    def play(self, secret, playbook="play.yml"):
        """(exit code, output in one line)."""
        (self.folder / "secret").write_text(secret)
        return play(
            *("-i", str(self.folder / "hosts.json"), str(self.folder / playbook)),
            # preflight, which finds it, is not run here
            *("-e", json.dumps({"swf_testbed_layout": "{{ layout }}"})),
            env=environment(self.folder),
        )

    def secrets(self):
        """{host: (the secret in place, that with which its program was started, snapshots)}."""
        return {
            name: (
                (place / "etc/secrets/password").read_text(),
                (place / "run/in_force").read_text(),
                [path.name for path in (place / "etc").glob("*.known-good*")],
            )
            for name, place in ((name, self.folder / name) for name in ("one", "two"))
        }

    def stop(self):
        for path in self.folder.glob("*/run/supervisord.pid"):
            os.kill(int(path.read_text()), signal.SIGTERM)


def all_have(secret):
    return {name: (secret, secret, []) for name in ("one", "two")}


@pytest.fixture(name="fleet", scope="module")
def two_hosts_that_are_healthy_with_a_secret():
    # the path of a socket must be short
    folder = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
    fleet = Fleet(folder)
    try:
        code, output = fleet.play("former")
        assert code == 0 and fleet.secrets() == all_have("former"), output
        yield fleet
    finally:
        fleet.stop()
        shutil.rmtree(folder)


@pytest.mark.nightly
def test_a_secret_that_fails_on_one_host_is_restored_on_both(fleet):
    with Leaks("refused-by-two") as leaks:
        code, output = fleet.play("refused-by-two")
    assert code != 0 and "reader is" in output, output
    assert "The secrets that this run changed were restored: password." in output, output
    assert (
        "Evidence: their programs were restarted with the former secrets, and run, on one, two."
        in output
    ), output
    assert "Fix: remove the cause" in output and output.count("FAILED!") == 2, output
    assert fleet.secrets() == all_have("former")
    leaks.text("the output", output)
    assert leaks.found == []


@pytest.mark.nightly
def test_after_an_interrupted_change_it_is_the_secret_before_that_is_restored(fleet):
    code, output = fleet.play("interrupted", "interrupted.yml")
    assert code == 0, output
    assert {state[2][0] for state in fleet.secrets().values()} == {"secrets.known-good"}
    code, output = fleet.play("refused-by-one")
    assert code != 0 and "were restored: password." in output, output
    assert fleet.secrets() == all_have("former")


@pytest.mark.nightly
def test_the_next_run_finishes_a_change_that_was_interrupted(fleet):
    fleet.play("interrupted", "interrupted.yml")
    code, output = fleet.play("interrupted")
    assert code == 0 and fleet.secrets() == all_have("interrupted"), output
    code, output = fleet.play("interrupted")
    assert code == 0 and "changed=0" in output and "changed=1" not in output, output
    assert fleet.play("former")[0] == 0 and fleet.secrets() == all_have("former")


@pytest.mark.nightly
def test_where_the_former_secret_does_not_work_either_that_is_said_and_it_stays_kept(fleet):
    text = fleet.program("two").read_text()
    fleet.program("two").write_text(text.splitlines(keepends=True)[0] + "exit 7\n")
    try:
        code, output = fleet.play("refused-too")
        assert (
            code != 0
            and "NOT ON two, WHERE THE PROGRAMS FAIL WITH THE FORMER SECRETS, TOO: programs: The rollback failed"
            in output
        ), output
        assert "and run, on one." in output, output
        found = fleet.secrets()
        assert found["one"] == all_have("former")["one"] and found["two"] == (
            "former",
            "former",
            ["secrets.known-good"],
        )
    finally:
        fleet.program("two").write_text(text)
    code, output = fleet.play("former")
    assert code == 0 and fleet.secrets() == all_have("former"), output


@pytest.mark.nightly
def test_the_role_alone_settles_the_secrets_of_its_host_at_once(fleet):
    code, output = fleet.play("refused-by-two", "role.yml")
    assert (
        code != 0
        and "is active again, with its configuration and its former secrets (password)" in output
    ), output
    assert fleet.secrets() == {
        "one": ("refused-by-two", "refused-by-two", []),
        "two": ("former", "former", []),
    }
    code, output = fleet.play("former", "role.yml")
    assert code == 0 and fleet.secrets() == all_have("former"), output
