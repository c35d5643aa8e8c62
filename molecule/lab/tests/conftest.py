# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the lab, its playbooks, and its monitor as people see it: over the network, with the
lab's CA."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import testinfra

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service import sockets, stomp
from helpers import scenario

SCENARIO = Path(__file__).resolve().parents[1]
ROOT = SCENARIO.parents[1]
INVENTORY = SCENARIO / "inventory"
# of a program on the host of the broker
CONNECT = """
import json, sys
host, password = sys.argv[1], open("/etc/swf-testbed/secrets/broker_password").read().strip()
def login(passcode=password, user="swf"):
    plain = connect(host, 61613, 30)
    client = Connection(pinned(plain, "/etc/swf-broker/secrets/tls.pem"), 30)
    client.connect(host, user, passcode)
    return client
def subscribed(*destinations):
    found = []
    for number, destination in enumerate(destinations):
        client = login()
        client.confirmed("SUBSCRIBE", {"id": str(number), "destination": destination})
        found.append(client)
    return found
def send(destination, *bodies):
    client = login()
    for body in bodies:
        client.confirmed("SEND", {"destination": destination, "persistent": "true"}, body)
    client.close()
def received(client, seconds=2):
    found = [frame.body for frame in client.messages(seconds)]
    client.close()
    return found
"""


class Lab:
    """What a person at the controller sees of the lab."""

    root = ROOT
    environment = scenario.ENVIRONMENT

    def __init__(self) -> None:
        command = ["ansible-inventory", "-i", str(INVENTORY), "--list"]
        listed = json.loads(
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        )
        self.variables = listed["_meta"]["hostvars"]
        self.services, self.agents = listed["monitor"]["hosts"][0], listed["agents"]["hosts"]
        self.addresses = {name: values["ansible_host"] for name, values in self.variables.items()}
        self.url = "https://%s" % self.addresses[self.services]
        controller = Path(self.variables[self.services]["swf_molecule_dir"], "controller")
        self.ca_file = controller / "ca/ca.pem"
        self.secrets = controller / "secrets"

    def host(self, name: str):
        """A host, as root: the inventory says become."""
        return testinfra.get_host("ansible://%s?ansible_inventory=%s" % (name, INVENTORY))

    def container(self, name: str) -> str:
        return "%s-%s" % (self.variables[name]["swf_molecule_network"], name)

    def host_of(self, program: str) -> str:
        """The host that runs a program."""
        return next(
            name
            for name, values in self.variables.items()
            if program in values["swf_testbed_components"]
        )

    def tls(self) -> ssl.SSLContext:
        """Trusts the CA of the lab."""
        return ssl.create_default_context(cafile=self.ca_file)

    def get(self, path: str) -> str:
        token = (self.secrets / "api_token").read_text().strip()
        request = urllib.request.Request(
            self.url + path, headers={"Authorization": "Token " + token}
        )
        with urllib.request.urlopen(request, timeout=10, context=self.tls()) as answer:
            return answer.read().decode()

    def ask(self, path: str) -> dict:
        """An answer of the API; an empty one while nobody answers."""
        try:
            return json.loads(self.get(path))
        except (OSError, ValueError):
            return {}

    def stf(self) -> dict:
        return self.ask("/api/summary/").get("stf", {})

    def files(self, query: str = "") -> list[dict]:
        """All STF files that the monitor knows."""
        rows: list[dict] = []
        while True:
            page = json.loads(
                self.get("/api/stf-files/?limit=1000&offset=%d%s" % (len(rows), query))
            )
            rows += page["results"]
            if not page["next"]:
                return rows

    def command(self, *arguments: str) -> list[str]:
        return scenario.command(INVENTORY, *arguments)

    def play(self, *arguments: str) -> subprocess.CompletedProcess:
        return scenario.play(INVENTORY, *arguments)


@pytest.fixture(name="lab", scope="session")
def the_lab():
    return Lab()


def wait_until(condition, seconds: float, what):
    """The first true value of a condition, asked for twice a second. What came last is in the
    message."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "not within %d s: %s" % (
            seconds,
            what() if callable(what) else what,
        )
        time.sleep(0.5)


@pytest.fixture(name="wait_until", scope="session")
def wait_until_fixture():
    return wait_until


@pytest.fixture(name="goes_on")
def healthy_and_going_on(lab, wait_until):
    """Call it: returns when the testbed is healthy and files that were registered since are
    through."""

    def wait(seconds=120):
        state = {}

        def through():
            state.update(health=lab.ask("/api/health/"), stf=lab.stf())
            if state["health"].get("status") != "ok" or not state["stf"]:
                return False
            goal = state.setdefault("goal", state["stf"]["total"] + 2)
            # the newest may still be on its way
            return state["stf"]["processed"] >= goal and state["stf"]["sampled"] >= goal

        wait_until(through, seconds, lambda: state)
        assert state["stf"]["failed"] == 0

    return wait


@pytest.fixture(name="at_broker")
def program_on_the_host_of_the_broker(lab):
    """Run lines of Python that talk to the broker, and return the JSON that they print."""

    def run(lines: str):
        host = lab.host(lab.services)
        modules = [Path(module.__file__).read_text() for module in (stomp, sockets)]
        # valid only at the beginning
        modules[1] = modules[1].replace("from __future__ import annotations\n", "")
        source = "".join(modules) + CONNECT + lines
        done = host.run("python3 -c %s %s", source, lab.addresses[lab.services])
        assert done.rc == 0, done.stderr
        return json.loads(done.stdout)

    return run
