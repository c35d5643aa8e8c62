# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in stack as a person sees it: for a login of this machine, and on the hosts of a lab."""

from __future__ import annotations

import json
import os
import pwd
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from helpers import scenario

ROOT = Path(__file__).resolve().parents[2]


class Site:
    #: where the programs run
    hosts: list[str]
    #: of these, those of agents
    workers: list[str]
    repositories: Path
    secrets: Path
    url: str
    context: ssl.SSLContext | None = None

    def __init__(self, folder: Path) -> None:
        self.inventory = folder / "inventory"

    def play(self, playbook: str = "site.yml", *arguments: str) -> subprocess.CompletedProcess:
        return scenario.play(self.inventory, playbook, *arguments)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30, context=self.context) as answer:
            return answer.read().decode()

    def agents(self) -> list[dict[str, Any]]:
        return json.loads(self.get("/api/systemagents/"))

    def release(self, host: str) -> str:
        """The path of the active release of a host."""
        raise NotImplementedError

    def new_secrets(self) -> list[str]:
        """Options of a playbook with a secret that this run would change."""
        return []

    def releases(self) -> dict[str, str]:
        return {host: self.release(host) for host in self.hosts}


class Login(Site):
    """An unprivileged user of this machine."""

    hosts = workers = ["plain-user"]
    url = "http://127.0.0.1:17002"
    home = Path("/")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.repositories = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "repositories")
        self.secrets = Path(os.environ["HOME"], ".local/share/swf-testbed-controller/secrets")
        self.home = Path(pwd.getpwnam("swf-molecule").pw_dir)

    def release(self, host: str) -> str:
        return os.path.realpath(self.home / ".local/share/swf-testbed/current")


class Lab(Site):
    """The hosts of a scenario."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        listed = json.loads(
            subprocess.run(
                ["ansible-inventory", "-i", str(self.inventory), "--list"],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        self.variables = listed["_meta"]["hostvars"]
        self.workers = listed["agents"]["hosts"]
        self.hosts = [*listed["monitor"]["hosts"], *self.workers]
        first = self.variables[self.hosts[0]]
        self.url = "https://" + first["ansible_host"]
        run = Path(first["swf_molecule_dir"])
        self.repositories, self.secrets = run / "repositories", run / "controller/secrets"
        self.context = ssl.create_default_context(cafile=run / "controller/ca/ca.pem")

    def new_secrets(self) -> list[str]:
        path = self.repositories.parent / "new_secrets.json"
        path.write_text(json.dumps({"swf_testbed_redis_password": "another-password"}))
        return ["-e", "@%s" % path]

    def heard(self) -> int:
        """The number of messages that the listener has counted in Redis."""
        return json.loads(self.get("/api/messages/"))["heard"]

    def wait_for_messages(self, seconds: float = 60) -> None:
        before, deadline = self.heard(), time.monotonic() + seconds
        while self.heard() < before + 3:
            assert time.monotonic() < deadline, "%d messages, and then %d" % (before, self.heard())
            time.sleep(1)

    def on(self, host: str, *command: str, text: str = "") -> str:
        """The output of a command of root on a host.

        :param text: its input.
        """
        container = "%s-%s" % (self.variables[host]["swf_molecule_network"], host)
        return subprocess.run(
            ["podman", "exec", "--interactive", container, *command],
            input=text,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def release(self, host: str) -> str:
        return self.on(host, "readlink", "-f", "/opt/swf-testbed/current").strip()
