# SPDX-License-Identifier: GPL-3.0-or-later
"""A newcomer's controller has no collection but this one: every playbook runs there, or says which
other one it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOKS = sorted(str(path) for path in (ROOT / "playbooks").glob("*.yml"))
HOST = """
[{group}]
localhost ansible_connection=local ansible_python_interpreter={python}
"""


@pytest.fixture(name="playbook")
def run_playbook(tmp_path):
    def run(*arguments):
        owner = tmp_path / "collections/ansible_collections/bnlnpps"
        owner.mkdir(parents=True)
        (owner / "swf_testbed").symlink_to(ROOT)
        environment = dict(
            os.environ,
            ANSIBLE_COLLECTIONS_PATH=str(tmp_path / "collections"),
            ANSIBLE_HOME=str(tmp_path),
            HOME=str(tmp_path),
        )
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), *arguments],
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            env=environment,
        )
        return done.returncode, done.stdout

    return run


def test_every_playbook_can_be_read(playbook):
    status, output = playbook(*PLAYBOOKS, "--syntax-check", "-i", str(ROOT / "inventory"))
    assert status == 0, output


def test_a_collection_that_a_role_needs_is_named_before_the_host_is_touched(playbook, tmp_path):
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(HOST.format(group="database", python=sys.executable))
    status, output = playbook(str(ROOT / "site.yml"), "-i", str(inventory))
    assert status != 0
    assert "ansible-galaxy collection install community.postgresql" in output
    assert "nothing was changed" in output


def test_the_doctor_asks_for_no_collection_that_the_host_has_no_use_for(playbook, tmp_path):
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(HOST.format(group="testbed", python=sys.executable))
    output = playbook(str(ROOT / "playbooks/doctor.yml"), "-i", str(inventory))[1]
    assert "the instance swf-testbed is not installed" in output
    assert "ansible-galaxy" not in output


def test_no_role_lets_ansible_load_a_collection_that_may_not_be_installed():
    """Ansible searches those of meta/main.yml for each task, and warns; ours are in
    meta/requirements.yml."""
    for path in (ROOT / "roles").glob("*/meta/main.yml"):
        assert "collections" not in yaml.safe_load(path.read_text()), path
