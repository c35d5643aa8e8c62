# SPDX-License-Identifier: GPL-3.0-or-later
# To be removed with the release 1.0.0, together with module_utils/_manifest/migration.py.
"""A host that was provisioned by the last commit with the former names converges to the names of
today in one run of site.yml.

Needs that commit, and so a clone with the whole history. Takes about four minutes: tools/test
migration, a step of make nightly.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORMER = "9008ee0"
NAMES = ("index", "broker", "monitor", "mcp")


def free_ports(number):
    held = [socket.create_server(("127.0.0.1", 0)) for _number in range(number)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class Login:
    """A home of its own, where both commits are run by their README's commands."""

    def __init__(self, folder):
        self.home, self.former = folder / "home", folder / "former"
        for path in (self.home, self.former):
            path.mkdir()
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", FORMER], stdout=subprocess.PIPE, check=False
        )
        assert archive.returncode == 0, (
            "the commit %s is not in this clone (fetch-depth: 0)" % FORMER
        )
        subprocess.run(["tar", "-x", "-C", str(self.former)], input=archive.stdout, check=True)
        ports = dict(zip(NAMES, free_ports(len(NAMES))))
        (folder / "ports.json").write_text(
            json.dumps({"swf_testbed_%s_port" % name: port for name, port in ports.items()})
        )
        self.ports = "-e @%s" % (folder / "ports.json")

    def make(self, checkout, target, *arguments):
        names = (
            "PATH",
            "LANG",
            "UV_SYSTEM_CERTS",
            "SSL_CERT_FILE",
            "PIP_INDEX_URL",
            "UV_INDEX_URL",
        )
        done = subprocess.run(
            ["make", target, "ARGS=%s" % " ".join((self.ports, *arguments)), "CONFIRM=yes"],
            cwd=checkout,
            env=dict(
                {name: os.environ[name] for name in names if name in os.environ},
                HOME=str(self.home),
            ),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-8000:]
        return done.stdout

    def starts(self):
        """{program: how often supervisord started it}."""
        text = (self.home / ".local/state/swf-testbed/log/supervisord.log").read_text()
        names = re.findall(r"spawned: '([^']+)'", text)
        return {name: names.count(name) for name in names}


@pytest.fixture(name="login")
def a_login():
    # short: the path of a socket has a limit
    with tempfile.TemporaryDirectory(prefix="m", dir="/tmp") as folder:
        login = Login(Path(folder))
        yield login
        login.make(ROOT, "uninstall", "-e swf_testbed_uninstall_data=true")


def test_a_host_of_the_former_commit_converges_in_one_run(login):
    login.make(login.former, "site")
    config = login.home / ".config/swf-testbed"
    assert (config / "proven").is_dir() and (config / "provenance/supervisord.json").is_file()
    before = login.starts()
    output = login.make(ROOT, "site")
    assert " failed=0 " in output and " rescued=0 " in output, output[-3000:]
    assert "The testbed is healthy" in output, output[-3000:]
    # supervisord itself may restart once, and a program at most once with it
    after = login.starts()
    assert len(before) == 8 and after.keys() == before.keys()
    assert all(0 <= after[name] - before[name] <= 1 for name in before), (before, after)
    listed = {
        item.get("path") for item in json.loads((config / "manifest.json").read_text())["entries"]
    }
    for gone, name in (
        ("proven", "known_good"),
        ("provenance/supervisord.json", "provenance/testbed.json"),
    ):
        assert not (config / gone).exists() and (config / name).exists()
        assert str(config / gone) not in listed
    assert str(config / "known_good") in listed
    assert " changed=0 " in login.make(ROOT, "site")
    # it knows the release that was active, and nothing is left when all is removed
    assert "no findings" in login.make(ROOT, "doctor")
    login.make(ROOT, "uninstall", "-e swf_testbed_uninstall_data=true")
    left = [
        path
        for path in login.home.rglob("*")
        if path.is_file() and "swf-testbed" in str(path) and ".cache" not in path.parts
    ]
    assert left == []
