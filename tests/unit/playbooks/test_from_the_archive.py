# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection from its archive, with plain ansible-core, in an empty directory and an empty home:
install it, install its requirements, play. The collections that it depends on come from the package
ansible, and Galaxy is not asked (--offline)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from helpers.ports import free_port
from helpers.unprivileged import NOBODY, run_as_nobody

# one story, in the order of the tests
pytestmark = pytest.mark.nightly
ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
OURS = ("XDG_", "ANSIBLE_", "PYTHON", "VIRTUAL_ENV", "SWF_")


class Newcomer:
    """A login with an empty directory, and a Python that has ansible-core and pip alone."""

    def __init__(self):
        # short, for the path of supervisord's socket
        self.home = Path(tempfile.mkdtemp(prefix="swf-", dir="/tmp"))
        self.folder = self.home / "work"
        self.folder.mkdir()
        self.venv = self.home / "venv"
        self.collections = self.home / ".ansible/collections/ansible_collections"
        # those of others, as Galaxy would install them
        fetched = ROOT / ".ansible/collections/ansible_collections"
        subprocess.run([sys.executable, ROOT / "tools/fetch_collections.py"], check=True)
        for name in ("ansible", "community"):
            shutil.copytree(fetched / name, self.collections / name)
        built = subprocess.run(
            [ROOT / "tools/build_collection", self.folder],
            check=True,
            capture_output=True,
            text=True,
            env=dict(os.environ, PATH="%s:%s" % (BIN, os.environ["PATH"])),
        )
        self.archive = built.stdout.strip()
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "%d:%d" % (NOBODY, NOBODY), self.home], check=True)
        self.run(
            str(BIN / "uv"), "venv", "--quiet", "--seed", "--python", sys.executable, "../venv"
        )
        self.run("pip", "install", "--quiet", "ansible-core")

    def run(self, *command, code=0):
        """The output of a command."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        environment.update(
            HOME=str(self.home),
            PATH="%s/bin:/usr/local/bin:/usr/bin:/bin" % self.venv,
            # for Ansible, ~ is the home of the account
            ANSIBLE_HOME=str(self.home / ".ansible"),
            ANSIBLE_REMOTE_TEMP=str(self.home / ".ansible/tmp"),
            ANSIBLE_NOCOLOR="1",
            LC_ALL="C.UTF-8",
        )
        if "/" not in command[0]:
            command = (str(self.venv / "bin" / command[0]), *command[1:])
        done = run_as_nobody(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=900,
        )
        assert code in (None, done.returncode), done.stdout[-6000:]
        return done.stdout

    def play(self, name, *arguments, code=0, inventory="inventory.yml"):
        playbook = "bnlnpps.swf_testbed." + name
        return self.run("ansible-playbook", "-i", inventory, playbook, *arguments, code=code)

    def write(self, name, groups, **variables):
        variables.update(
            ansible_connection="local", ansible_python_interpreter="{{ ansible_playbook_python }}"
        )
        here = {"hosts": {"this-machine": {}}}
        (self.folder / name).write_text(
            yaml.safe_dump({"all": {"vars": variables, "children": dict.fromkeys(groups, here)}})
        )

    def end(self):
        self.play("stop", code=None)
        shutil.rmtree(self.home)


@pytest.fixture(name="newcomer", scope="module")
def newcomer_with_the_archive():
    someone = Newcomer()
    ports = {name: free_port() for name in ("index", "broker", "monitor", "mcp")}
    someone.write(
        "inventory.yml",
        ("index", "testbed"),
        swf_testbed_systemd="never",
        swf_testbed_python=sys.executable,
        **{"swf_testbed_%s_port" % name: port for name, port in ports.items()},
    )
    yield someone
    someone.end()


def test_the_archive_has_nothing_but_the_listed_files(newcomer):
    listed = subprocess.run(
        ["tar", "-tzf", newcomer.archive], check=True, capture_output=True, text=True
    ).stdout.split()
    found = {path.partition("/")[0] for path in listed} - {""}
    assert found == {
        *("CHANGELOG.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md"),
        *("bindep.txt", "requirements.txt", "changelogs", "docs", "examples", "meta", "packages"),
        *("playbooks", "plugins", "roles", "stacks"),
    }
    assert not [path for path in listed if "/tests/" in path or path.endswith(".pyc")]
    for package in (ROOT / "packages").iterdir():
        if (package / "pyproject.toml").exists():
            tracked = subprocess.run(
                ["git", "ls-files", package / "src"], cwd=ROOT, capture_output=True, text=True
            ).stdout.split()
            assert tracked and not set(tracked) - set(listed)


def test_it_is_installed(newcomer):
    newcomer.run("ansible-galaxy", "collection", "install", "--offline", newcomer.archive)
    assert (newcomer.collections / "bnlnpps/swf_testbed/requirements.txt").is_file()


def test_everything_that_the_controller_lacks_is_named_at_once(newcomer):
    before = sorted(newcomer.home.glob(".[!a]*"))
    output = newcomer.play("site", code=2)
    for name in ("uv (", "build (", "twine ("):
        assert name in output
    assert "pip install -r %s" % (
        newcomer.collections / "bnlnpps/swf_testbed/requirements.txt"
    ) in (" ".join(output.split()))
    assert "nothing was changed" in output
    assert sorted(newcomer.home.glob(".[!a]*")) == before


def test_an_inventory_of_others_is_an_error(newcomer):
    newcomer.write("others.yml", ("web",))
    for name in ("site", "status", "doctor", "stop"):
        output = newcomer.play(name, inventory="others.yml", code=None)
        assert "no host of the inventory is in one of the groups" in output
        assert "--limit, are: web" in " ".join(output.split()) and "failed=0" not in output


def test_three_commands_deploy_a_testbed(newcomer):
    requirements = newcomer.collections / "bnlnpps/swf_testbed/requirements.txt"
    newcomer.run("pip", "install", "--quiet", "-r", str(requirements))
    assert "The testbed is healthy" in newcomer.play("site")


def test_a_second_run_changes_nothing(newcomer):
    assert "changed=0" in newcomer.play("site")


def test_it_is_uninstalled(newcomer):
    newcomer.play("uninstall", "-e", "swf_testbed_uninstall_data=true")
    assert not list(newcomer.home.glob(".local/share/swf-testbed/releases/*"))
