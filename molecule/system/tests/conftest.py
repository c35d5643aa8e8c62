# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks for the login physicist of the host, in user scope, beside the instances of the system
scope."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from physicist import COMPONENTS, PORTS

ROOT = Path(__file__).resolve().parents[3]
SAME = (
    "ansible_host",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "swf_molecule_dir",
    "swf_testbed_controller_dir",
    "swf_testbed_index_host",
    "swf_testbed_index_tls",
)


class Run:
    """What a playbook did: its exit status, its output, and what it counted for the host."""

    def __init__(self, done):
        self.status, self.output = done.returncode, done.stdout
        recap = self.output.rpartition("PLAY RECAP")[2]
        self.counts = {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", recap)}


@pytest.fixture(name="as_physicist")
def playbooks_of_a_login(host, tmp_path):
    all_variables = host.backend.get_variables()
    variables = {name: all_variables[name] for name in SAME}
    variables.update(
        ansible_user="physicist",
        swf_testbed_components=COMPONENTS,
        **{"swf_testbed_%s_port" % name: port for name, port in PORTS.items()},
    )
    # the index is that of the host: no host of these plays serves one
    groups = {name: {} for name in ("index", "database", "broker", "redis", "monitor", "agents")}
    inventory = {
        "all": {"vars": variables, "children": dict(groups, testbed={"hosts": {"login": {}}})}
    }
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))

    def run(playbook, *options):
        return Run(
            subprocess.run(
                ["ansible-playbook", "-i", str(tmp_path / "hosts.json"), playbook, *options],
                cwd=ROOT,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        )

    return run
