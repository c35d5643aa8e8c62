# SPDX-License-Identifier: GPL-3.0-or-later
"""roles/testbed/tasks/database_backup.yml: which database of which stack is backed up, and when."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from helpers.ports import component_ports
from helpers.postgresql_server import (  # pylint: disable=unused-import
    BIN,
    PASSWORD,
    a_postgresql_server,  # noqa: F401
)

ROOT = Path(__file__).resolve().parents[3]
PLAY = """
- hosts: testbed
  gather_facts: false
  tasks:
    - import_role: {name: bnlnpps.swf_testbed.preflight, tasks_from: check}
    - import_role: {name: bnlnpps.swf_testbed.testbed, tasks_from: database_backup}
"""
STACK = {
    "title": "A stack with PostgreSQL and secrets in the environment",
    "requires": {"python": "3.10", "postgresql": "13"},
    "secrets_in": "environment",
    "components": [
        {
            "name": "pages",
            "role": "monitor",
            "command": "pages",
            "secrets": {"DB_PASS": "database_password"},
        }
    ],
}


class Host:
    def __init__(self, home):
        self.home = home
        (home / "release-2/bin").mkdir(parents=True)
        (home / "release-2/bin/python").symlink_to(sys.executable)
        (home / "play.yml").write_text(PLAY)
        (home / "password").write_text(PASSWORD)

    def play(self, active="release-1", **variables):
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_systemd": "never",
            "swf_testbed_preflight_checks": False,
            "swf_testbed_preflight_min_free_mb": 0,
            **component_ports(),
            "swf_testbed_components": ["monitor"],
            "swf_testbed_controller_dir": str(self.home / "controller"),
            "swf_testbed_release": {
                "path": str(self.home / "release-2"),
                "id": "release-2",
                "active": active,
            },
            **variables,
        }
        hosts = {"testbed": {"hosts": {"this": variables}}}
        (self.home / "hosts.json").write_text(json.dumps({"all": {"children": hosts}}))
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                str(self.home / "hosts.json"),
                str(self.home / "play.yml"),
            ],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            env=dict(os.environ, HOME=str(self.home), ANSIBLE_NOCOLOR="1"),
        )
        assert done.returncode == 0, done.stdout
        assert PASSWORD not in done.stdout
        return self.backups()

    def backups(self):
        return sorted((self.home / ".local/state/swf-testbed/backups").glob("*"))


@pytest.fixture(name="host")
def a_host():
    folder = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
    yield Host(folder)
    shutil.rmtree(folder)


@pytest.mark.nightly
def test_the_file_of_the_reference_stack(host):
    database = host.home / ".local/state/swf-testbed/monitor/db.sqlite3"
    database.parent.mkdir(parents=True)
    sqlite3.connect(database).execute("CREATE TABLE stf (name TEXT)").connection.close()
    for active in (None, "release-2"):
        assert host.play(active) == [], "the first release, or the one that is active"
    assert host.play(**{"swf_testbed_keep_database_backups": 0}) == []
    (backup,) = host.play()
    assert backup.name.endswith("Z-release-2.sqlite3")


def test_the_server_of_another_stack(host, postgresql):
    path = host.home / "stack.yml"
    path.write_text(yaml.safe_dump(STACK))
    (backup,) = host.play(
        swf_testbed_stack=str(path),
        swf_testbed_components=["pages"],
        swf_testbed_database_host=postgresql["DB_HOST"],
        swf_testbed_database_port=postgresql["DB_PORT"],
        swf_testbed_database_name=postgresql["DB_NAME"],
        swf_testbed_database_user=postgresql["DB_USER"],
        swf_testbed_database_password="{{ lookup('file', '%s') }}" % (host.home / "password"),
    )
    assert backup.name.endswith("Z-release-2.pgdump")
    subprocess.run([BIN + "/pg_restore", "--list", backup], check=True, capture_output=True)
