# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenario runs on: one testbed per host of its inventory, all on this machine."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers import scenario

SCENARIO = Path(__file__).resolve().parents[1]
ROOT = SCENARIO.parents[1]
LIMIT = os.environ.get("SWF_MOLECULE_LIMIT", "all")


@dataclass(frozen=True)
class Testbed:
    """One host of the inventory."""

    __test__ = False  # no test class, whatever its name looks like

    name: str
    user: str
    home: Path
    ports: dict[str, int]

    def path(self, *parts: str) -> Path:
        return self.home.joinpath(*parts)

    def get(self, path: str, token: str = "") -> str:
        url = "http://127.0.0.1:%d%s" % (self.ports["monitor"], path)
        request = urllib.request.Request(
            url, headers={"Authorization": "Token " + token} if token else {}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read().decode()

    def summary(self) -> dict:
        return json.loads(self.get("/api/summary/"))

    def health(self) -> dict:
        try:
            return json.loads(self.get("/api/health/"))
        except urllib.error.HTTPError as error:
            return json.loads(error.read())

    def secrets(self) -> dict[str, str]:
        """Every secret of the run, by the name of its file."""
        folder = Path(os.environ["HOME"], ".local/share/swf-testbed-controller/secrets")
        return {path.name: path.read_text().strip() for path in folder.iterdir()}


def inventory() -> dict[str, dict]:
    command = ["ansible-inventory", "-i", str(SCENARIO / "inventory"), "--list", "--limit", LIMIT]
    hosts = json.loads(
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    )
    return hosts["_meta"]["hostvars"]


def testbeds() -> list[Testbed]:
    found = []
    for name, variables in inventory().items():
        user = variables.get("ansible_become_user")
        home = pwd.getpwnam(user).pw_dir if user else os.environ["HOME"]
        ports = {
            service: variables["swf_testbed_%s_port" % service]
            for service in ("index", "broker", "monitor", "mcp")
        }
        found.append(Testbed(name, user or pwd.getpwuid(os.getuid()).pw_name, Path(home), ports))
    return found


def pytest_generate_tests(metafunc):
    if "testbed" in metafunc.fixturenames:
        found = testbeds()
        # what a further run says and does depends on the login no more
        chosen = found[:1] if "play" in metafunc.fixturenames else found
        metafunc.parametrize("testbed", chosen, ids=lambda item: item.name, scope="session")


def play(
    *arguments: str, limit: str = LIMIT, playbook: str = "site.yml"
) -> subprocess.CompletedProcess:
    return scenario.play(SCENARIO / "inventory", "--limit", limit, playbook, *arguments)


@pytest.fixture(name="play", scope="session")
def play_fixture():
    return play


def wait_until(condition, seconds: float, what: str):
    """The first true value of a condition, asked for twice a second."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "not within %d s: %s" % (seconds, what)
        time.sleep(0.5)


@pytest.fixture(name="wait_until", scope="session")
def wait_until_fixture():
    return wait_until
