# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in stack of an unprivileged user, and the playbooks that a person runs."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import urllib.request
from pathlib import Path

import pytest

from helpers import scenario

SCENARIO = Path(__file__).resolve().parents[1]
REPOSITORIES = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "repositories")
URL = "http://127.0.0.1:17002"


class Site:
    """What a person sees of it."""

    repositories = REPOSITORIES
    home = Path(pwd.getpwnam("swf-molecule").pw_dir)
    root = home / ".local/share/swf-testbed"

    def play(self, playbook: str = "site.yml", *arguments: str) -> subprocess.CompletedProcess:
        return scenario.play(SCENARIO / "inventory", playbook, *arguments)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(URL + path, timeout=30) as answer:
            return answer.read().decode()

    def release(self) -> str:
        return os.readlink(self.root / "current")

    def agents(self) -> list[dict]:
        return json.loads(self.get("/api/systemagents/"))


@pytest.fixture(scope="session")
def site():
    return Site()
