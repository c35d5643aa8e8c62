# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks enable pipelining, also for those who do not use our ansible.cfg."""

from __future__ import annotations

import json

import pytest
import yaml

from helpers.playbook import ROOT, environment, play

PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))


def plays(path):
    return [item for item in yaml.safe_load(path.read_text()) if "hosts" in item]


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.name)
def test_every_play_enables_it(path):
    (value,) = {item.get("vars", {}).get("ansible_pipelining") for item in plays(path)}
    assert value == plays(ROOT / "playbooks/status.yml")[0]["vars"]["ansible_pipelining"]


def test_the_inventory_may_forbid_it(tmp_path):
    (first, *_more) = plays(ROOT / "playbooks/site.yml")
    tasks = [
        {"name": "Show it", "ansible.builtin.debug": {"msg": "is {{ ansible_pipelining | bool }}"}}
    ]
    shown = {
        "name": "Show it",
        "hosts": "all",
        "gather_facts": False,
        "vars": first["vars"],
        "tasks": tasks,
    }
    (tmp_path / "play.yml").write_text(json.dumps([shown]))
    hosts = {"plain": {}, "forbids": {"ansible_pipelining": "false"}}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    code, output = play(
        "-i", str(tmp_path / "hosts.json"), str(tmp_path / "play.yml"), env=environment(tmp_path)
    )
    assert code == 0, output
    assert "[plain] => msg: is True" in output and "[forbids] => msg: is False" in output, output
