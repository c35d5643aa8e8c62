# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance in user scope of a login that is not root, whose release is a stand-in without
packages. Its programs are commands of the system."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from helpers.unprivileged import as_nobody

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parents[1]
PLAY = """
- hosts: testbed
  gather_facts: false
  tasks:
    - import_role: {name: bnlnpps.swf_testbed.preflight}
    - import_role: {name: bnlnpps.swf_testbed.testbed, tasks_from: configure}
    - import_role: {name: bnlnpps.swf_testbed.testbed, tasks_from: change_over}
"""


class Instance:
    """The instance in a home.

    :param stack: text of its stack file.
    """

    def __init__(self, folder, stack, **variables):
        self.folder = folder
        self.state = folder / ".local/state/swf-testbed"
        release = folder / ".local/share/swf-testbed/releases/1-a"
        (release / "bin").mkdir(parents=True)
        (release / "bin/python").symlink_to(sys.executable)
        (release / "release.json").write_text(
            json.dumps(
                {
                    "id": "1-a",
                    "python": "%d.%d.%d" % sys.version_info[:3],
                    "packages": {},
                    "executable": os.path.realpath(sys.executable),
                    "built_at": "2026-01-01T00:00:00Z",
                }
            )
        )
        (folder / "stack.yml").write_text(stack)
        self.variables = {
            "ansible_connection": "local",
            "ansible_remote_tmp": str(folder / "tmp"),
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_python": sys.executable,
            "swf_testbed_systemd": "never",
            "swf_testbed_stack": str(folder / "stack.yml"),
            "swf_testbed_controller_dir": str(folder / "swf-testbed-controller"),
            "swf_testbed_health_url": "",
            "swf_testbed_summary_url": "",
            "swf_testbed_min_uptime": 2,
            "swf_testbed_release": {
                **{"id": "1-a", "active": "1-a", "known_good": True},
                **{"path": str(release), "tools": str(TOOLS)},
            },
            **variables,
        }

    def play(self, text, *arguments, **variables):
        """(exit code, output) of a playbook.

        :param variables: in addition to those of the instance.
        """
        groups = {"testbed": {"hosts": {"one": {}}}, "agents": {}}
        (self.folder / "hosts.json").write_text(
            json.dumps({"all": {"vars": {**self.variables, **variables}, "children": groups}})
        )
        (self.folder / "play.yml").write_text(text)
        done = subprocess.run(
            [
                str(TOOLS / "bin/ansible-playbook"),
                *("-i", str(self.folder / "hosts.json"), str(self.folder / "play.yml"), *arguments),
            ],
            cwd=self.folder,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **as_nobody(),
            env={
                "HOME": str(self.folder),
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
            },
        )
        return done.returncode, done.stdout

    def stop(self):
        path = self.state / "run/supervisord.pid"
        if path.exists():
            os.kill(int(path.read_text()), signal.SIGTERM)


def is_usable():
    """Whether a login that is not root can use this Python."""
    try:
        return subprocess.call([sys.executable, "-c", ""], **as_nobody()) == 0
    except OSError:
        return False
