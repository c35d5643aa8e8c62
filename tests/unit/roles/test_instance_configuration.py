# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of an instance with a stack of its own, as the role testbed places it, and the
programs that a real supervisord starts with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout
from helpers import reach
from helpers.run_module import run_module
from helpers.supervisord_host import Supervisord, until

TOKEN = "cafe0123" * 5
STACK = {
    "title": "A stack with a file and a program that takes a secret from its environment",
    "requires": {"python": "3.10"},
    "secrets_in": "environment",
    "environment": {"OF": "the stack", "OTHER": "the stack"},
    "components": [
        {
            "name": "monitor",
            "role": "monitor",
            "command": "show",
            "secrets": {"SWF_API_TOKEN": "api_token"},
            "environment": {"OF": "the component", "HOME": "/srv/home"},
        },
        {"name": "agent", "role": "agent", "command": "show", "environment": {"ITS": "own"}},
    ],
    "files": [{"name": "testbed.toml", "content": 'namespace = "{{ swf_testbed_instance }}"\n'}],
}
SHOW = """#!/bin/sh
cat /proc/$$/environ >"$SHOW_IN/$SUPERVISOR_PROCESS_NAME.new"
mv "$SHOW_IN/$SUPERVISOR_PROCESS_NAME.new" "$SHOW_IN/$SUPERVISOR_PROCESS_NAME"
exec sleep 1000
"""


class Instance:
    def __init__(self, folder):
        self.folder = folder
        self.layout = dict(
            layout("swf-testbed", "user", {"HOME": str(folder)}),
            manifest={"instance": "swf-testbed", "scope": "user", "entries": []},
            managed=False,
            credentials=False,
            user="",
            operators="",
            login="physicist",
            home=str(folder),
        )
        self.layout["readable_secrets_dir"] = self.layout["secrets_dir"]
        self.config = Path(self.layout["config_dir"])
        self.release = folder / ".local/share/swf-testbed/releases/1-a"
        (self.release / "bin").mkdir(parents=True)
        (self.release / "bin/show").write_text(SHOW)
        (self.release / "bin/show").chmod(0o755)
        Path(self.layout["secrets_dir"]).mkdir(parents=True, mode=0o700)
        (Path(self.layout["secrets_dir"]) / "api_token").write_text(TOKEN + "\n")

    def place(self, stack, **variables):
        (self.folder / "stack.yml").write_text(yaml.safe_dump(stack))
        everything = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_layout": self.layout,
            "swf_testbed_stack": str(self.folder / "stack.yml"),
            "swf_testbed_release": {"path": str(self.release), "tools": sys.prefix},
            "swf_testbed_components": ["monitor", "agent"],
            "swf_testbed_instance": "swf-testbed",
            "swf_testbed_api_token": TOKEN,
            "swf_testbed_snapshots": ["", ""],
            "swf_testbed_environment": {"OTHER": "the inventory", "SHOW_IN": str(self.folder)},
            **variables,
        }
        tasks = reach.load(reach.ROOT / "roles/testbed/tasks/configure.yml")
        play = {
            "hosts": "all",
            "gather_facts": False,
            "vars_files": [
                str(path)
                for role in ("common", "testbed")
                for path in reach.files("roles/%s/[dv]*/main.yml" % role)
            ],
            "tasks": [tasks[1]],
        }
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        (self.folder / "variables.json").write_text(json.dumps(everything))
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "ANSIBLE_"))
        }
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-i", "localhost,", "-e", "@%s" % (self.folder / "variables.json"), "--diff"),
                str(self.folder / "play.yml"),
            ],
            env=dict(
                inherited,
                HOME=str(self.folder),
                ANSIBLE_NOCOLOR="1",
                ANSIBLE_COLLECTIONS_PATH=str(reach.ROOT / ".ansible/collections"),
            ),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0 and TOKEN not in done.stdout, done.stdout
        return int(re.search(r"changed=(\d+)", done.stdout)[1])

    def environments(self):
        """Those of its programs, as a real supervisord starts them."""
        daemon = Supervisord.__new__(Supervisord)
        daemon.folder, daemon.conf = self.folder, self.config / "supervisord.conf"
        daemon.socket, daemon.env = Path(self.layout["socket"]), {"PATH": "/nowhere"}
        daemon.start()
        try:
            until(lambda: all((self.folder / name).exists() for name in ("monitor", "agent")))
        finally:
            daemon.stop()
        return {
            name: dict(
                item.split("=", 1)
                for item in (self.folder / name).read_text().split("\0")
                if "=" in item
            )
            for name in ("monitor", "agent")
        }


@pytest.fixture(name="instance")
def an_instance():
    # short, for the path of supervisord's socket
    with tempfile.TemporaryDirectory(prefix="swf-", dir="/tmp") as folder:
        yield Instance(Path(folder))


def test_files_launcher_and_environment(instance):
    assert instance.place(STACK) == 1
    config = instance.config
    assert (config / "testbed.toml").read_text() == 'namespace = "swf-testbed"\n'
    assert (config / "testbed.toml").stat().st_mode & 0o777 == 0o600
    manifest = json.loads((config / "manifest.json").read_text())
    listed = {item["path"] for item in manifest["entries"] if "path" in item}
    assert {str(config / name) for name in ("testbed.toml", "launch.py", "steps.json")} <= listed
    first = (config / "supervisord.conf").read_text()
    assert TOKEN not in first

    found = instance.environments()
    monitor, agent = found["monitor"], found["agent"]
    # the launcher set it
    assert monitor["SWF_API_TOKEN"] == TOKEN and "SWF_API_TOKEN" not in agent
    for environment in (monitor, agent):
        assert environment["USER"] == "physicist"
        assert environment["VIRTUAL_ENV"] == str(instance.release)
        assert environment["PATH"].split(":")[0] == str(instance.release / "bin")
        # the inventory adds to the stack and replaces its values; a component adds to both
        assert environment["OTHER"] == "the inventory" and "SWF_STACK_FILES" in environment
    assert (agent["OF"], agent["ITS"], agent["HOME"]) == ("the stack", "own", str(instance.folder))
    assert (monitor["OF"], monitor["HOME"]) == ("the component", "/srv/home")
    assert "ITS" not in monitor

    # a step has what its program has
    (instance.release / "bin/step").write_text(
        '#!/bin/sh\n[ ${#SWF_API_TOKEN} = 40 ] && echo "$OF, $OTHER, $USER, $HOME, $VIRTUAL_ENV"\n'
    )
    (instance.release / "bin/step").chmod(0o755)
    answer = run_module(
        "stack_steps",
        {
            "config": str(config / "supervisord.conf"),
            "release": str(instance.release),
            "steps": [{"name": "token", "component": "monitor", "command": "step"}],
        },
    )
    assert [step["output"] for step in answer["steps"]] == [
        "the component, the inventory, physicist, /srv/home, %s" % instance.release
    ], answer

    assert instance.place(STACK) == 0
    stack = dict(STACK, secrets_in="file", files=[dict(STACK["files"][0], content="other\n")])
    changed = {"USER": "other", "PATH": "/other/bin"}
    assert instance.place(stack, swf_testbed_environment=changed) == 1
    assert (config / "testbed.toml").read_text() == "other\n"
    # no program needs it any more
    assert not (config / "launch.py").exists()
    second = (config / "supervisord.conf").read_text()
    digests = [set(re.findall(r'SWF_STACK_FILES="(\w+)"', text)) for text in (first, second)]
    assert len(digests[0]) == len(digests[1]) == 1 and digests[0] != digests[1]
    assert second.count('USER="other"') == second.count('PATH="/other/bin"') == 2
    assert 'SWF_API_TOKEN="%s/api_token"' % instance.layout["secrets_dir"] in second
