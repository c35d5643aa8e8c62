# SPDX-License-Identifier: GPL-3.0-or-later
"""The access of a developer to a lab with Artemis: issued, used and revoked."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

# tests/unit/playbooks/test_own_agents.py has the same with the embedded broker
pytestmark = pytest.mark.nightly
ATTEMPTS = """
def outcome(action):
    try:
        action()
        return "ok"
    except StompError as error:
        return str(error)
def use(destination):
    def action():
        client = login(%(passcode)r, "carol")
        client.confirmed("SUBSCRIBE", {"id": "1", "destination": destination})
        client.confirmed("SEND", {"destination": destination}, "hello")
        assert client.message().body == "hello"
        client.close()
    return action
destinations = ["/queue/swf.carol.work", "/topic/swf.carol.news", %(other)r, "epicqueue"]
print(json.dumps([outcome(use(destination)) for destination in destinations]))
"""
OF_THE_BROKER = "sha256sum /etc/swf-broker/*.* /etc/swf-broker/secrets/users.properties"


class Developer:
    def __init__(self, lab, folder: Path) -> None:
        self.lab = lab
        self.password = folder / "password"
        self.password.write_text("of the file")
        self.file = folder / "carol.yml"

    def play(self, name: str, *arguments: str) -> str:
        given = {"login": "carol", "swf_testbed_credentials_file": str(self.file)}
        vault = ["--vault-id", "carol@%s" % self.password]
        done = self.lab.play("playbooks/" + name, *vault, "-e", json.dumps(given), *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def credentials(self) -> dict:
        command = ["ansible-vault", "view", "--vault-id", "carol@%s" % self.password]
        return yaml.safe_load(subprocess.check_output([*command, str(self.file)], text=True))

    def status(self, token: str) -> int:
        """HTTP status of a request with a token."""
        context = self.lab.tls()
        request = urllib.request.Request(
            self.lab.url + "/api/runs/", headers={"Authorization": "Token " + token}
        )
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code


def test_issue_use_and_revoke(lab, at_broker, goes_on, tmp_path):
    developer, services = Developer(lab, tmp_path), lab.host(lab.services)
    before = services.check_output(OF_THE_BROKER)
    output = developer.play("issue_credentials.yml", "-vvv", "--diff")
    assert "The login carol is issued." in output
    found = developer.credentials()
    passcode, token = found["swf_testbed_broker_password"], found["swf_testbed_api_token"]
    namespace = lab.ask("/api/namespaces/")["results"][0]["name"]
    attempts = ATTEMPTS % {"passcode": passcode, "other": "/queue/swf.%s.data" % namespace}
    # its own names, and no others
    *own, queue, bare = at_broker(attempts)
    assert own == ["ok", "ok"]
    for refusal in (queue, bare):
        assert "AMQ" in refusal
    assert developer.status(token) == 200
    goes_on()
    # the same again changes nothing
    again = developer.play("issue_credentials.yml")
    assert "its secrets did not change" in again
    assert "changed=0" in again and not [
        line for line in again.splitlines() if "changed=" in line and "changed=0" not in line
    ]

    output += again + developer.play("revoke_credentials.yml", "-vvv", "--diff")
    assert all("password is invalid" in refusal for refusal in at_broker(attempts))
    assert developer.status(token) == 401
    assert services.check_output(OF_THE_BROKER) == before
    goes_on()
    for secret in (passcode, token):
        assert secret not in output
