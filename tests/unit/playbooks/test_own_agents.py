# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of one login, and the agents of a developer with another login: from the example's lines and
a file with credentials to the revocation. Both are without root, on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from helpers.login import ROOT, Login, account, from_this_checkout, until
from helpers.ports import free_port

# one story, in the order of the tests
pytestmark = pytest.mark.nightly
EXAMPLE = ROOT / "examples/developer/hosts.yml"
READER = "a-token-that-may-only-read-0123456789"
LOGIN = "alice"


class Story:
    def __init__(self):
        self.lab, self.developer = (
            Login(account("nobody")),
            Login(account("games", "daemon", "bin")),
        )
        self.ports = {name: free_port() for name in ("index", "broker", "monitor", "mcp")}
        variables = from_this_checkout(**self.ports)
        variables["swf_testbed_package_index_users"] = [
            {
                "name": "swf",
                "token": "{{ swf_testbed_index_token }}",
                "rights": ["read", "upload"],
            },
            {"name": "reader", "token": READER, "rights": ["read"]},
        ]
        here = {"hosts": {"this-machine": {}}}
        groups = {"index": here, "testbed": here, "database": {}, "broker": {}, "monitor": {}}
        self.lab.write(
            "testbed/hosts.yml",
            yaml.safe_dump({"all": {"vars": variables, "children": {**groups, "agents": {}}}}),
        )
        self.took = 0.0

    def request(self, path, token=None, body=None):
        """(HTTP status, answer) of the monitor; with a body, of a POST."""
        request = urllib.request.Request(
            "http://127.0.0.1:%d%s" % (self.ports["monitor"], path),
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        if token:
            request.add_header("Authorization", "Token " + token)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def agents(self, namespace):
        _status, summary = self.request("/api/summary/")
        return [item for item in summary["agents"] if item["namespace"] == namespace]

    def files(self, status, namespace):
        token = (self.lab.controller / "secrets/api_token").read_text().strip()
        _status, found = self.request(
            "/api/stf-files/?status=%s&namespace=%s" % (status, namespace), token
        )
        return found["results"] if isinstance(found, dict) else found

    def session(self):
        """A connection to the broker with the login of the developer."""
        found = self.credentials()
        frame = "CONNECT\naccept-version:1.2\nlogin:%s\npasscode:%s\n\n\0" % (
            found["swf_testbed_broker_user"],
            found["swf_testbed_broker_password"],
        )
        session = socket.create_connection(("127.0.0.1", self.ports["broker"]), timeout=20)
        session.sendall(frame.encode())
        return session

    def credentials(self):
        """What the developer's file contains."""
        command = [str(Path(sys.executable).parent / "ansible-vault"), "view"]
        path = self.developer.inventory / "group_vars/all/credentials.yml"
        text = subprocess.check_output(
            [*command, "--vault-password-file", str(self.developer.password), str(path)], text=True
        )
        return yaml.safe_load(text)


@pytest.fixture(scope="module", name="story")
def a_lab_and_a_developer():
    story = Story()
    yield story
    for login in (story.lab, story.developer):
        login.end()


def test_the_example_has_at_most_12_lines():
    lines = [line.strip() for line in EXAMPLE.read_text().splitlines()]
    assert len([line for line in lines if line not in ("", "---") and line[0] != "#"]) <= 12


def test_a_lab(story):
    began = time.monotonic()
    report = story.lab.play("site.yml")
    story.took = time.monotonic() - began
    assert "The testbed is healthy." in report


def test_the_operator_issues_credentials(story):
    path = story.lab.home / "alice.yml"
    arguments = ["--vault-id", "%s@%s" % (LOGIN, story.lab.password)]
    arguments += [
        "-e",
        json.dumps({"login": LOGIN, "swf_testbed_credentials_file": str(path)}),
    ]
    report = story.lab.play("issue_credentials.yml", *arguments)
    assert "The login alice is issued." in report
    story.developer.write("testbed/hosts.yml", EXAMPLE.read_text())
    story.developer.write("testbed/group_vars/all/credentials.yml", path.read_text())
    found = story.credentials()
    assert found["swf_testbed_broker_user"] == LOGIN
    assert found["swf_testbed_index_token"] == READER
    for secret in (found["swf_testbed_broker_password"], found["swf_testbed_api_token"]):
        assert secret not in report
    # the monitor has it already
    assert story.request("/api/runs/", found["swf_testbed_api_token"])[0] == 200
    # again: nothing changes
    assert "changed=0" in story.lab.play("issue_credentials.yml", *arguments)


def test_the_agents_of_the_developer(story):
    login = story.developer
    arguments = ["--vault-password-file", str(login.password)]
    arguments += [
        "-e",
        json.dumps({"swf_testbed_python": sys.executable}),
    ]
    began = time.monotonic()
    report = login.play("site.yml", *arguments)
    took = time.monotonic() - began
    print("the lab took %.0f s, the developer's agents took %.0f s" % (story.took, took))
    assert took < story.took
    assert "the central monitor judges its agents: it has heard from 3 of 3" in report
    assert "in the namespace alice" in report
    # nothing that agents do not need: neither services nor their secrets, nor their packages
    assert login.secrets() == {"digest_key"}
    state = login.home / ".local/state/swf-testbed"
    assert not {"broker", "monitor", "postgresql"} & {path.name for path in state.iterdir()}
    packages = {path.name.partition("-")[0] for path in login.home.rglob("swf_*.dist-info")}
    assert packages == {
        "swf_common_lib",
        "swf_daqsim_agent",
        "swf_data_agent",
        "swf_processing_agent",
    }
    assert "changed=0" in login.play("site.yml", *arguments)


def test_they_take_part_in_their_own_namespace(story):
    until(lambda: len(story.agents(LOGIN)) == 3, "three agents in the namespace")
    until(lambda: len(story.files("processed", LOGIN)) > 3, "processed files")
    others = {item["namespace"] for item in story.request("/api/summary/")[1]["agents"]} - {LOGIN}
    assert len(others) == 1
    for namespace in (LOGIN, *others):
        assert story.files("failed", namespace) == []
    status, health = story.request("/api/health/")
    assert status == 200, health


def test_its_token_changes_no_other_namespace(story):
    token = story.credentials()["swf_testbed_api_token"]
    (lab,) = {item["namespace"] for item in story.request("/api/summary/")[1]["agents"]} - {LOGIN}
    status, text = story.request("/api/runs/", token, {"namespace": lab})
    assert status == 403
    assert "The login alice may not change the namespace %s. Evidence: " % lab in text


def test_another_run_of_the_lab_keeps_the_login(story):
    assert "changed=0" in story.lab.play("site.yml")
    token = story.credentials()["swf_testbed_api_token"]
    assert story.request("/api/runs/", token)[0] == 200


def test_a_revoked_login_ends_at_once_and_for_good(story):
    token = story.credentials()["swf_testbed_api_token"]
    session = story.session()
    assert b"CONNECTED" in session.recv(4096)
    report = story.lab.play("revoke_credentials.yml", "-e", json.dumps({"login": LOGIN}))
    assert "The login alice is revoked." in report
    assert story.request("/api/runs/", token)[0] == 401
    # the agents end their own connections, too, when the monitor rejects their token
    assert b"the login is no longer valid" in session.recv(4096)
    with story.session() as another:
        assert b"login refused" in another.recv(4096)
    arguments = ["--vault-password-file", str(story.developer.password)]
    until(
        # the agents end with their next heartbeats
        lambda: "failed=1" in story.developer.play("status.yml", *arguments, code=None),
        "failed status",
    )
    record = json.loads((story.lab.controller / "secrets/issued_logins.json").read_text())
    assert record["logins"] == {}
    assert [item["login"] for item in record["revoked"]] == [LOGIN]
    assert token not in json.dumps(record)
    story.lab.play("site.yml")
    assert story.request("/api/runs/", token)[0] == 401


def test_no_output_has_a_secret(story):
    output = story.lab.output + story.developer.output
    found = story.credentials()
    for name in ("swf_testbed_broker_password", "swf_testbed_api_token", "swf_testbed_index_token"):
        assert found[name] not in output
