# SPDX-License-Identifier: GPL-3.0-or-later
"""issue_credentials.yml and revoke_credentials.yml, on an inventory of this machine, and on one whose
services are external."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
OURS = {"index": {}, "testbed": {"hosts": {"here": {}}}}


class Operator:
    def __init__(self, home):
        self.home = home
        self.controller = home / "controller"
        self.password = home / "password"
        self.password.write_text("of the file")
        self.file = home / "alice.yml"
        self.output = ""

    def inventory(self, children, **variables):
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_systemd": "never",
            "swf_testbed_controller_dir": str(self.controller),
        }
        content = {"all": {"vars": {**common, **variables}, "children": children}}
        (self.home / "hosts.json").write_text(json.dumps(content))

    def run(self, playbook, *arguments, login="alice", password=True, code=0):
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "ANSIBLE_"))
        }
        environment.update(
            HOME=str(self.home),
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
            ANSIBLE_NOCOLOR="1",
        )
        given = {"login": login, "swf_testbed_credentials_file": str(self.file)}
        vault = ["--vault-id", "%s@%s" % (login, self.password)] if password else []
        done = subprocess.run(
            [
                *(str(BIN / "ansible-playbook"), "-i", str(self.home / "hosts.json")),
                *(str(ROOT / "playbooks" / playbook), "-e", json.dumps(given), *vault, *arguments),
            ],
            env=environment,
            cwd=self.home,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stdout
        self.output += done.stdout
        return " ".join(done.stdout.split())

    def credentials(self):
        command = [str(BIN / "ansible-vault"), "view", "--vault-id", "alice@%s" % self.password]
        return yaml.safe_load(subprocess.check_output([*command, str(self.file)], text=True))

    def placed(self, name):
        path = self.home / ".config/swf-testbed/logins" / name
        return json.loads(path.read_text())


@pytest.fixture(name="operator")
def an_operator():
    home = Path(tempfile.mkdtemp(prefix="swf-", dir="/tmp"))
    yield Operator(home)
    shutil.rmtree(home)


@pytest.mark.nightly
def test_issue_and_revoke(operator):
    operator.inventory(OURS)
    report = operator.run("issue_credentials.yml", "-vvv", "--diff")
    assert "The login alice is issued." in report
    assert "usable on this machine only: the testbed listens on 127.0.0.1" in report
    found = operator.credentials()
    assert found["swf_testbed_broker_user"] == "alice"
    assert found["swf_testbed_broker_port"] == 61613
    assert found["swf_testbed_broker_tls"] is False
    assert found["swf_testbed_broker_probe_prefix"] == "swf.alice.probe."
    assert found["swf_testbed_monitor_url"] == "http://127.0.0.1:8002"
    assert operator.file.read_bytes().startswith(b"$ANSIBLE_VAULT;1.2;AES256;alice\n")
    password, token = found["swf_testbed_broker_password"], found["swf_testbed_api_token"]
    # each program gets the secrets that it needs
    assert operator.placed("broker.json") == [
        {"login": "alice", "namespace": "alice", "password": password}
    ]
    assert operator.placed("monitor.json") == [
        {"login": "alice", "namespace": "alice", "token": token}
    ]
    # a second login, and the first one again
    report = operator.run("issue_credentials.yml")
    assert "was issued before; its secrets did not change" in report
    assert "changed=0" in report
    report = operator.run("revoke_credentials.yml", password=False)
    assert "The login alice is revoked." in report
    assert operator.placed("broker.json") == operator.placed("monitor.json") == []
    report = operator.run("revoke_credentials.yml", password=False)
    assert "The login alice was revoked on " in report
    assert "changed=0" in report
    assert password not in operator.output
    assert token not in operator.output


@pytest.mark.nightly
def test_another_controller_removes_no_login(operator):
    """Both have the secrets of the testbed. Each list of logins is a file of its controller."""
    operator.inventory(OURS)
    operator.run("issue_credentials.yml")
    second, name = operator.home / "second", "secrets/issued_logins.json"
    shutil.copytree(operator.controller, second)
    (second / name).unlink()
    operator.inventory(OURS, swf_testbed_controller_dir=str(second))
    alice, operator.file = operator.file, operator.home / "bob.yml"
    report = operator.run("issue_credentials.yml", login="bob", code=2)
    assert "the login alice of swf_testbed_issued_logins is missing" in report
    assert "Fix: copy secrets/issued_logins.json of that directory to %s/secrets" % second in report
    assert [item["login"] for item in operator.placed("broker.json")] == ["alice"]
    shutil.copy(operator.controller / name, second / name)
    operator.run("issue_credentials.yml", login="bob")
    assert [item["login"] for item in operator.placed("monitor.json")] == ["alice", "bob"]

    # the list of the first one is outdated now
    operator.inventory(OURS)
    operator.file = alice
    report = operator.run("revoke_credentials.yml", password=False, code=2)
    assert "the login bob of swf_testbed_issued_logins is missing" in report
    shutil.copy(second / name, operator.controller / name)
    operator.run("revoke_credentials.yml", password=False)
    assert [item["login"] for item in operator.placed("broker.json")] == ["bob"]
    # the second one does not undo it, not with a change of its own either
    operator.inventory(OURS, swf_testbed_controller_dir=str(second))
    operator.file = operator.home / "carol.yml"
    report = operator.run("issue_credentials.yml", login="carol", code=2)
    assert "the login alice of swf_testbed_issued_logins is revoked" in report
    assert [item["login"] for item in operator.placed("broker.json")] == ["bob"]


def test_external_services(operator):
    """The administrators of the services get the lines to add; no host is changed."""
    operator.inventory(
        {"testbed": {"hosts": {"here": {"swf_testbed_components": ["data-agent"]}}}},
        swf_testbed_broker_host="broker.example.org",
        swf_testbed_broker_tls=True,
        swf_testbed_broker_password="of-the-testbed",
        swf_testbed_monitor_url="https://monitor.example.org",
        swf_testbed_api_token="0123456789abcdef0123456789abcdef01234567",
    )
    report = operator.run("issue_credentials.yml")
    for text in (
        "The broker broker.example.org is external.",
        "artemis-roles.properties: alice = alice",
        '<security-setting match="swf.alice.#">',
        '<security-setting match="/topic/swf.alice.#">',
        '<permission type="consume" roles="testbed,alice"/>',
        "The monitor https://monitor.example.org is external.",
        'username="alice"',
    ):
        assert text in report
    assert not (operator.home / ".config").exists()
    report = operator.run("revoke_credentials.yml", password=False)
    assert "Its administrator removes the line of alice from artemis-users.properties" in report
    assert '.filter(username="alice").delete()' in report


@pytest.mark.parametrize(
    ("playbook", "login", "cause"),
    [
        ("issue_credentials.yml", "", "the login is not a usable name"),
        ("issue_credentials.yml", "Al.ice", "the login is not a usable name"),
        ("issue_credentials.yml", "swf", "it is a user, or the namespace, of the testbed itself"),
        ("revoke_credentials.yml", "bob", "there is no login bob"),
    ],
)
def test_what_is_refused(operator, playbook, login, cause):
    operator.inventory(OURS)
    report = operator.run(playbook, login=login, password=bool(login), code=2)
    assert cause in report
    assert "Fix: " in report
    assert not operator.controller.exists()


def test_without_a_password(operator):
    operator.inventory(OURS)
    report = operator.run("issue_credentials.yml", password=False, code=2)
    assert "there is no password for the vault file" in report
    assert not operator.controller.exists()


def test_check_mode(operator):
    operator.inventory(OURS)
    report = operator.run("issue_credentials.yml", "--check")
    assert "The login alice would be issued." in report
    assert not operator.controller.exists()
    assert not operator.file.exists()
