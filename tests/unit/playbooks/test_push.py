# SPDX-License-Identifier: GPL-3.0-or-later
"""swf_testbed_release_mode push, by the roles and ansible-playbook, over hosts that are namespaces
of this machine.

Each host has its own home, at the same path as the others have theirs; those that are sent a
release have no network, not even a loopback. Only modules run in there: transfers of files go past
the homes, through the temporary directory of Ansible.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
import yaml

from helpers.index_server import IndexServer, make_wheel, sha256
from helpers.installation import PLAY
from helpers.leaks import Leaks
from helpers.ports import component_ports
from helpers.seen_by_callbacks import Seen
from helpers.source_packages import Repository

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "canary-push%0123456789canary0123456789"
NAMESPACES = (
    subprocess.run(["unshare", "-rmn", "true"], check=False, stderr=subprocess.DEVNULL).returncode
    == 0
    if (shutil.which("unshare"))
    else False
)
# the first two are on the network; the second has another Python
HOSTS = ("builder", "other", "near", "far")
HOME = ".local/share/swf-testbed"
STACK = """
title: A test
requires: {python: "3.10"}
distributions: {requirements: [swf-testbed], import_check: [swf-testbed]}
sources:
  - name: swf-tree
    repository: https://git.example.org/swf-tree.git
    commit: "0000000000000000000000000000000000000000"
    install: [tree]
components: [{name: agent, role: agent, command: swf-testbed}]
"""

# where everything is tested, what is missing is a mistake
pytestmark = pytest.mark.skipif(
    not NAMESPACES and not os.environ.get("CI"), reason="no namespaces here: unshare -rmn"
)


def another_python(folder):
    """A Python of the same version at another path, and no link: the path of a Python is the one
    that its links lead to."""
    name = "python%d.%d" % sys.version_info[:2]
    for part in ("bin", "lib"):
        (folder / part).mkdir(parents=True)
    shutil.copy2(os.path.realpath(sys.executable), folder / "bin" / name)
    (folder / "lib" / name).symlink_to(sysconfig.get_path("stdlib"))
    return str(folder / "bin" / name)


class Fleet:
    def __init__(self, folder):
        self.folder, self.home, self.seen = folder, folder / "home", Seen(folder)
        self.home.mkdir()
        for name in ("private", "public"):
            (folder / name).mkdir()
        make_wheel(
            folder / "private", "swf-testbed", "0.1.0", ["public-thing"], script="swf-testbed"
        )
        thing = make_wheel(folder / "public", "public-thing", "1.0")
        (folder / "tools.txt").write_text("public-thing==1.0 --hash=sha256:%s\n" % sha256(thing))
        self.private, self.public = (
            IndexServer(folder / "private", TOKEN),
            IndexServer(folder / "public"),
        )
        another = another_python(folder / "another")
        inventory = {}
        for name in HOSTS:
            (folder / name).mkdir()
            python = folder / (name + "-python")
            python.write_text(
                "#!/bin/sh\nexec unshare %s sh -c 'mount --bind %s %s && cd / && exec \"$@\"' sh "
                '%s "$@"\n'
                % ("-rm" if name in HOSTS[:2] else "-rmn", folder / name, self.home, sys.executable)
            )
            python.chmod(0o755)
            inventory[name] = {
                "ansible_python_interpreter": str(python),
                "swf_testbed_python": another if name == "other" else sys.executable,
            }
        self.variables = {
            # as ansible.cfg has it: modules make their directories, and warn that they had to
            "ansible_connection": "local",
            "ansible_pipelining": True,
            **component_ports(),
            "swf_testbed_release_mode": "push",
            "swf_testbed_release_import_check": ["swf-testbed"],
            "swf_testbed_release_tools_lock_file": str(folder / "tools.txt"),
            "swf_testbed_release_constraints_file": "",
            "swf_testbed_release_requirements": ["swf-testbed"],
            "swf_testbed_index_token": TOKEN,
            "swf_testbed_controller_dir": str(folder / "controller"),
            "swf_testbed_pip_indexes": [
                self.private.as_index("swf", packages=["swf-*"]),
                self.public.as_index("public"),
            ],
        }
        (folder / "hosts.yml").write_text(
            yaml.safe_dump({"all": {"hosts": inventory}}, sort_keys=False)
        )
        (folder / "play.yml").write_text(PLAY)
        (folder / "scratch").mkdir()

    def play(self, *arguments, **more):
        """(output, {host: {"ok": ..., "changed": ..., "failed": ...}}) of a run. Nothing of it
        stays on the controller."""
        (self.folder / "variables.yml").write_text(yaml.safe_dump(dict(self.variables, **more)))
        (self.folder / "variables.yml").chmod(0o600)
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "ANSIBLE_", "UV_"))
        }
        environment.update(
            self.seen.environment,
            HOME=str(self.home),
            ANSIBLE_HOME=str(self.folder / "ansible"),
            ANSIBLE_LOCAL_TEMP=str(self.folder / "scratch"),
            UV_CACHE_DIR=str(self.folder / "uv"),
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
        )
        command = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(self.folder / "hosts.yml"),
            "-e",
            "@%s" % (self.folder / "variables.yml"),
            *arguments,
            str(self.folder / "play.yml"),
        ]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=300,
        )
        assert os.listdir(self.folder / "scratch") == [], done.stdout
        recap = re.findall(
            r"^(\S+) +: ok=(\d+) +changed=(\d+) .*failed=(\d+)", done.stdout, re.MULTILINE
        )
        return done.stdout, {
            name: dict(zip(("ok", "changed", "failed"), map(int, counts)))
            for name, *counts in recap
        }

    def of(self, name, what):
        """The one file or directory of that name in the instance of a host."""
        (found,) = (self.folder / name / HOME).glob(what)
        return found

    def run(self, name, *command):
        """Run a command as on that host."""
        return subprocess.run(
            [
                "unshare",
                "-rm",
                "sh",
                "-c",
                'mount --bind "$0" "$1" && shift && exec "$@"',
                self.folder / name,
                self.home,
                *command,
            ],
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout


@pytest.fixture(name="fleet", scope="module")
def a_fleet():
    # short, for the path of supervisord's socket
    folder = Path(tempfile.mkdtemp(prefix="swf-", dir="/tmp"))
    folder.chmod(0o755)
    fleet = Fleet(folder)
    yield fleet
    for server in (fleet.private, fleet.public):
        server.stop()
    shutil.rmtree(folder)


@pytest.mark.nightly
def test_a_release_is_built_once_and_sent(fleet):
    with Leaks(TOKEN) as leaks:
        predicted, would = fleet.play("--check", "--diff")
        # the lock does not exist yet, and its hash is the end of the id
        assert "builder would build the release unlocked for itself, near, far\n" in predicted
        assert "other would build the release unlocked for itself\n" in predicted
        assert (
            "near would get the release unlocked from builder\n" in predicted
            and "far would get" in predicted
        )
        assert predicted.count("+swf-testbed==?") == 4, predicted
        assert [list((fleet.folder / name).iterdir()) for name in HOSTS] == [[], [], [], []]

        output, did = fleet.play("-vvv", "--diff")
        assert all(host["failed"] == 0 for host in did.values()) and set(did) == set(HOSTS), output
        assert {name: host["changed"] for name, host in did.items()} == {
            name: host["changed"] for name, host in would.items()
        }
        leaks.text("the output", output)
        assert "Build the release: export it to the controller" in fleet.seen.scan(leaks)
        for name in HOSTS:
            # nobody has it, not even for themselves
            for path in (fleet.folder / name).rglob("*"):
                if path.is_file() and not path.is_symlink():
                    leaks.text(str(path), path.read_bytes())
    assert leaks.processes > 20 and leaks.found == []
    assert (fleet.of("builder", "releases/*") / "bin/swf-testbed").is_file()
    for name, source in (
        ("builder", None),
        ("other", None),
        ("near", "builder"),
        ("far", "builder"),
    ):
        assert (
            json.loads(fleet.of(name, "releases/*/release.json").read_text()).get("sent_from")
            == source
        )
        assert (
            json.loads(fleet.of(name, "tools/*/release.json").read_text()).get("sent_from")
            == source
        )
        program = fleet.home / fleet.of(name, "releases/*/bin/swf-testbed").relative_to(
            fleet.folder / name
        )
        assert fleet.run(name, program) == "hello\n"


@pytest.mark.nightly
def test_a_second_run_changes_and_sends_nothing(fleet):
    output, did = fleet.play()
    assert all(host["changed"] == host["failed"] == 0 for host in did.values()), output
    _output, pulled = fleet.play("--check", swf_testbed_release_mode="pull")
    # one call of the module, as with pull
    assert {name: host["ok"] for name, host in did.items()} == {
        name: host["ok"] for name, host in pulled.items()
    }


@pytest.mark.nightly
def test_a_host_that_lost_it_gets_it_from_one_that_has_it(fleet):
    fleet.of("builder", "releases/*/release.json").unlink()
    (fleet.of("builder", "releases/*") / "rubbish").touch()
    # of the time when it was swf_testbed_release_mode pull
    login = fleet.folder / "builder/.config/swf-testbed/pip/netrc"
    login.write_text("machine 127.0.0.1 login reader password %s\n" % TOKEN)
    asked = fleet.private.asked_for(), fleet.public.asked_for()
    output, did = fleet.play()
    assert did["builder"]["failed"] == 0 and did["builder"]["changed"] > 0, output
    assert sum(host["changed"] for host in did.values()) == did["builder"]["changed"]
    assert "builder gets the release" in output and "builder builds" not in output
    assert (
        json.loads(fleet.of("builder", "releases/*/release.json").read_text())["sent_from"]
        == "near"
    )
    assert not (fleet.of("builder", "releases/*") / "rubbish").exists() and not login.exists()
    assert (fleet.private.asked_for(), fleet.public.asked_for()) == asked


@pytest.mark.nightly
def test_source_trees_are_sent_with_the_release(fleet):
    repository = Repository(fleet.folder, "swf-tree")
    commit = repository.commit({"page.html": "x", "module.py": "x = 1\n"})
    stack = fleet.folder / "stack.yml"
    stack.write_text(STACK)
    output, did = fleet.play(
        "--limit",
        "builder,near",
        swf_testbed_stack=str(stack),
        swf_testbed_stack_sources={"swf-tree": {"repository": repository.url, "commit": commit}},
    )
    assert did["builder"]["failed"] == did["near"]["failed"] == 0, output
    assert "near gets the release" in output
    found = [fleet.of(name, "releases/*/src/swf-tree") for name in ("builder", "near")]
    assert found[0].parts[-3] == found[1].parts[-3]
    for tree in found:
        assert (tree / "page.html").read_text() == "x"
        assert list(tree.glob("__pycache__/module.*.pyc"))
        record = json.loads((tree.parents[1] / "release.json").read_text())
        assert record["sources"] == {"swf-tree": commit}
    shutil.rmtree(found[0].parents[1])
    shutil.rmtree(found[1].parents[1])


@pytest.mark.nightly
def test_a_failed_build_is_told_for_all_and_leaves_nothing(fleet):
    for name in HOSTS:
        shutil.rmtree(fleet.folder / name / HOME)
    output, did = fleet.play(
        "--limit",
        "builder,other,near",
        swf_testbed_pip_indexes=[
            fleet.private.as_index("swf", packages=["swf-*"], token="wrong"),
            fleet.public.as_index("public"),
        ],
    )
    assert "the index rejected the credentials" in output and "it builds for near, too" in output, (
        output
    )
    assert "near -> builder" in output and "there is no complete release at" in output
    assert (
        "it builds for itself: no other host of this run is of its platform" in output
        and "needs access to the indexes" in output
    )
    assert all(host["failed"] == 1 for host in did.values())
    assert not list((fleet.folder / "near" / HOME / "releases").glob("*"))
