# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret is generated at its first use, and only where it is used: playbooks run, and their
secrets are counted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from helpers.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "0123456789abcdef0123456789abcdef01234567"
OWN = {
    "swf_testbed_pip_indexes": [
        {
            "name": "lab",
            "url": "https://index.example.org/simple/",
            "username": "me",
            "token": TOKEN,
            "packages": ["swf-*"],
        }
    ]
}
GIVEN = {
    "swf_testbed_" + name: TOKEN
    for name in (
        "index_token",
        "broker_password",
        "database_password",
        "monitor_secret_key",
        "api_token",
    )
}


@pytest.fixture(name="made_by")
def made_by_a_playbook():
    """Runs a playbook on this machine, in a home of its own; returns the names of the secrets that
    it made, and what it said."""
    # short, for the path of supervisord's socket
    home = Path(tempfile.mkdtemp(prefix="swf-", dir="/tmp"))
    ports = {
        "swf_testbed_%s_port" % name: free_port() for name in ("index", "broker", "monitor", "mcp")
    }

    def run(playbook, *arguments, **variables):
        checkout = home / "swf-thing"
        checkout.mkdir(exist_ok=True)
        hosts = home / "hosts.json"
        hosts.write_text(
            json.dumps(
                {
                    "all": {
                        "vars": dict(
                            ports,
                            ansible_connection="local",
                            ansible_python_interpreter=sys.executable,
                            swf_testbed_python=sys.executable,
                            swf_testbed_systemd="never",
                            swf_testbed_publish_workflows=[str(checkout)],
                            **variables,
                        ),
                        "hosts": {"localhost": {}},
                        "children": {
                            "index": {"hosts": {"localhost": {}}},
                            "testbed": {"hosts": {"localhost": {}}},
                        },
                    }
                }
            )
        )
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "ANSIBLE_"))
        }
        environment.update(
            HOME=str(home),
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
            ANSIBLE_NOCOLOR="1",
        )
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                str(hosts),
                str(ROOT / "playbooks" / playbook),
                *arguments,
            ],
            cwd=home,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=280,
        )
        return {path.name for path in home.rglob("swf-testbed-controller/secrets/*")}, done.stdout

    yield run
    shutil.rmtree(home)


# the last is a task near the end of what is asked for
@pytest.mark.parametrize(
    "playbook,arguments,variables,task",
    [
        ("publish.yml", [], OWN, "Add the publish workflow to each repository"),
        pytest.param(
            "publish.yml",
            [],
            GIVEN,
            "Add the publish workflow to each repository",
            marks=pytest.mark.nightly,
        ),
        ("status.yml", [], {}, "Report the status"),
        pytest.param(
            "stop.yml", [], {}, "Stop supervisord and the index", marks=pytest.mark.nightly
        ),
        pytest.param("start.yml", [], {}, "Run supervisord", marks=pytest.mark.nightly),
        pytest.param("doctor.yml", [], {}, "Report the findings", marks=pytest.mark.nightly),
        pytest.param(
            "rollback.yml", [], {}, "Roll back to a known good release", marks=pytest.mark.nightly
        ),
        pytest.param(
            "export_secrets.yml",
            [],
            {"swf_testbed_export_secrets_file": "vault.yml"},
            "Write the secrets of this controller to a vault file",
            marks=pytest.mark.nightly,
        ),
        pytest.param("site.yml", ["--check"], {}, "Build the release", marks=pytest.mark.nightly),
    ],
)
def test_a_playbook_makes_no_secret_that_it_does_not_use(
    made_by, playbook, arguments, variables, task
):
    secrets, output = made_by(playbook, *arguments, **variables)
    assert task in output, output
    assert secrets == set()


def test_a_playbook_makes_the_secret_that_it_uses(made_by):
    """The private index of the collection, which localhost publishes to where the inventory says
    nothing of indexes."""
    secrets, output = made_by("publish.yml")
    assert secrets == {"index_token"}, output
