# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as they are, for hosts that are instances of this machine and for one that really
refuses the connection."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from helpers.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


class Fleet:
    """A controller with a home of its own; user scope, in which everything is below that home."""

    def __init__(self):
        # short, for the path of supervisord's socket
        self.folder = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
        (self.folder / "home").mkdir()
        ports = {
            "swf_testbed_%s_port" % name: free_port()
            for name in ("index", "broker", "monitor", "mcp")
        }
        self.variables = {
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_python": sys.executable,
            "swf_testbed_systemd": "never",
            "swf_testbed_pip_indexes": [
                {"name": "local", "url": "http://127.0.0.1:%d/simple/" % free_port()}
            ],
            "swf_testbed_release_version": "0.1.0",
            **ports,
        }

    def inventory(self, **groups):
        """Write it.

        :param groups: {group: {host: variables}}; those of agents are in testbed, too.
        """
        names = ("index", "database", "broker", "redis", "monitor", "agents", "testbed")
        children = {name: {"hosts": groups.get(name, {})} for name in names}
        children["testbed"]["children"] = {"agents": {}}
        (self.folder / "hosts.yml").write_text(
            yaml.safe_dump({"all": {"vars": self.variables, "children": children}})
        )

    def here(self, name, *components, **variables):
        return {
            "ansible_connection": "local",
            "swf_testbed_instance": "swf-" + name,
            "swf_testbed_index_instance": "index-" + name,
            "swf_testbed_components": list(components),
            **variables,
        }

    def gone(self, *components):
        return {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": free_port(),
            "swf_testbed_components": list(components),
        }

    def play(self, playbook, *arguments):
        """(exit code, output in one line)."""
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "ANSIBLE_"))
        }
        environment.update(
            HOME=str(self.folder / "home"),
            ANSIBLE_HOME=str(self.folder / "ansible"),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
            ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
            ANSIBLE_LOCALHOST_WARNING="0",
        )
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                str(self.folder / "hosts.yml"),
                *arguments,
                str(ROOT / "playbooks" / (playbook + ".yml")),
            ],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=180,
        )
        return done.returncode, " ".join(done.stdout.split())

    def close(self):
        shutil.rmtree(self.folder)
