# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the first task of site.yml, with Ansible's own inventory, variables, playbook and action
plugin, many times over.

As a program it reads a line of JSON per inventory, and answers each with a line of JSON: the
refusal, or null. It is a process of its own because Ansible finds collections in another way than
Python does, and a process can have one of the two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook import Playbook
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import action_loader, connection_loader, init_plugin_loader
from ansible.template import Templar
from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = ROOT / ".ansible/collections"


class CheckedInventory:
    """An inventory, and what the first task of a playbook says of it.

    :param sources: the inventory's paths, or names of hosts with a comma.
    :param playbook: a playbook of the collection, whose first task is the check.
    """

    def __init__(self, sources, playbook=ROOT / "playbooks/site.yml"):
        if not AnsibleCollectionConfig.collection_finder:
            init_plugin_loader([str(COLLECTIONS)])
        # only now can it be found
        from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import (
            _variables,
        )

        self.trusted = _variables.trusted
        self.loader = DataLoader()
        self.loader.set_basedir(str(ROOT))
        self.inventory = InventoryManager(loader=self.loader, sources=sources)
        self.variables = VariableManager(
            loader=self.loader, inventory=self.inventory, version_info={}
        )
        self.hostvars = HostVars(self.inventory, self.variables, self.loader)
        self.play = Playbook.load(
            str(playbook), variable_manager=self.variables, loader=self.loader
        ).get_plays()[0]
        self.task = next(
            task
            for block in self.play.compile()
            for task in block.block
            if task.action == "bnlnpps.swf_testbed.inventory_check"
        )

    def refusal(self, variables=None, groups=()):
        """The message of the check, None if it passes.

        :param variables: as with -e.
        :param groups: those that the first host is put into as well.
        """
        first = self.inventory.get_hosts("all")[0]
        added = [
            self.inventory.groups[name]
            for name in groups
            if first not in self.inventory.groups[name].hosts
        ]
        for group in added:
            group.add_host(first)
        self.inventory.reconcile_inventory()
        try:
            return self._refusal(variables or {})
        finally:
            for group in added:
                group.remove_host(first)

    def _refusal(self, variables):
        self.inventory.clear_caches()
        magic = {
            "groups": self.inventory.get_groups_dict(),
            "ansible_play_hosts_all": [host.name for host in self.inventory.get_hosts("all")],
        }
        pattern = Templar(loader=self.loader, variables=magic).template(self.play.hosts)
        hosts = self.inventory.get_hosts(pattern)
        self.variables._extra_vars = self.trusted(variables)
        task_vars = self.variables.get_vars(play=self.play, host=hosts[0], task=self.task)
        task_vars["ansible_play_hosts_all"] = [host.name for host in hosts]
        context = PlayContext(play=self.play)
        plugin = action_loader.get(
            self.task.action,
            task=self.task,
            connection=connection_loader.get("local", context),
            play_context=context,
            loader=self.loader,
            templar=Templar(loader=self.loader, variables=task_vars),
            shared_loader_obj=None,
        )
        result = plugin.run(task_vars=task_vars)
        return result["msg"] if result.get("failed") else None


class Checks:
    """The process, to ask it many times."""

    def __init__(self, home):
        environment = dict(
            os.environ,
            HOME=str(home),
            ANSIBLE_HOME=str(home / ".ansible"),
            ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
            ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
            ANSIBLE_LOCALHOST_WARNING="false",
        )
        environment.pop("PYTHONPATH", None)
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            environment.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def refusal(self, variables=None, groups=(), inventory="inventory", playbook="site"):
        """The message of the check, None if it passes."""
        question = {
            "inventory": str(ROOT / inventory),
            "playbook": playbook,
            "variables": variables or {},
            "groups": list(groups),
        }
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["refusal"]

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=30)


def main():
    inventories, answers = {}, sys.stdout
    # what Ansible prints is no answer
    sys.stdout = sys.stderr
    for line in sys.stdin:
        question = json.loads(line)
        key = (question["inventory"], question["playbook"])
        try:
            if key not in inventories:
                inventories[key] = CheckedInventory(
                    [key[0]], ROOT / "playbooks" / (key[1] + ".yml")
                )
            answer = {
                "refusal": inventories[key].refusal(question["variables"], question["groups"])
            }
        except Exception as error:  # the test shows it
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
