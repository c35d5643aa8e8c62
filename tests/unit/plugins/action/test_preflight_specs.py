# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of preflight: the variables of many roles are checked in one go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[4]
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - bnlnpps.swf_testbed.preflight:
        specs: [settings, pip_index, service]
        checks: false
"""


@pytest.fixture(name="check")
def check_variables(tmp_path):
    def check(**variables):
        (tmp_path / "play.yml").write_text(PLAY)
        (tmp_path / "variables.yml").write_text(yaml.safe_dump(variables))
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "-e", "@variables.yml",
             "-e", "ansible_python_interpreter=" + sys.executable,
             "play.yml"], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            env=dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"), ANSIBLE_HOME=str(tmp_path)))
        return done.returncode, done.stdout
    return check


def test_all_roles_problems_are_named_at_once_without_secrets(check):
    status, output = check(
        service_min_uptime="soon", swf_testbed_scope="planet",
        pip_indexes=[{"name": "a", "preset": "nonsense", "token": "canary"}, {"token": ["canary"]}])
    assert status != 0
    for text in ("service_min_uptime", "swf_testbed_scope", "nonsense", "(role service;", "nothing was changed"):
        assert text in output
    assert "canary" not in output


def test_good_variables_pass(check):
    status, output = check(service_min_uptime=5, pip_indexes=[{"name": "pypi"}])
    assert status == 0, output


def test_defaults_are_not_worked_out(check, tmp_path):
    """That of the database's password makes a secret, and this inventory has no database; that of pip_indexes makes another."""
    defaults = {}
    for role in ("settings", "pip_index"):
        with open(ROOT / "roles" / role / "defaults/main.yml", encoding="utf-8") as stream:
            defaults.update(yaml.safe_load(stream))
    status, output = check(**dict(defaults, swf_testbed_controller_dir=str(tmp_path / "controller")))
    assert status == 0, output
    assert not (tmp_path / "controller").exists()
