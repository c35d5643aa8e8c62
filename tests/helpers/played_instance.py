# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance in user scope of a login that is not root, whose release is a stand-in without
packages. Its programs are commands of the system."""

from __future__ import annotations

import json
import os
import signal
import sys

from helpers.playbook import ROOT, TOOLS, play
from helpers.stand_in_release import stand_in_release
from helpers.unprivileged import run_as_nobody

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
        release = stand_in_release(folder / ".local/share/swf-testbed", "1-a")
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
        """(exit code, output in one line) of a playbook.

        :param variables: in addition to those of the instance.
        """
        groups = {"testbed": {"hosts": {"one": {}}}, "agents": {}}
        (self.folder / "hosts.json").write_text(
            json.dumps({"all": {"vars": {**self.variables, **variables}, "children": groups}})
        )
        (self.folder / "play.yml").write_text(text)
        return play(
            *("-i", str(self.folder / "hosts.json"), str(self.folder / "play.yml"), *arguments),
            cwd=self.folder,
            run=run_as_nobody,
            env={
                "HOME": str(self.folder),
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
            },
        )

    def stop(self):
        path = self.state / "run/supervisord.pid"
        if path.exists():
            os.kill(int(path.read_text()), signal.SIGTERM)
