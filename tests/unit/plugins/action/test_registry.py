# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's list of the instances that use its directory."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _registry

URL = "http://127.0.0.1:8004"


def test_an_instance_is_noted_once_and_taken_off(tmp_path):
    folder = tmp_path / "controller"
    assert _registry.read(folder) is None
    assert _registry.register(folder, "swf@one/user", URL, True) and not folder.exists()
    assert _registry.register(folder, "swf@one/user", URL, False)
    assert not _registry.register(folder, "swf@one/user", URL, False)
    assert _registry.register(folder, "swf@one/user", URL + "/other", False)
    _registry.register(folder, "swf-two@one/user", URL, False)
    _registry.unregister(folder, "swf@one/user")
    _registry.unregister(folder, "swf@nowhere/user")
    assert _registry.read(folder) == {"swf-two@one/user": URL}
    assert (
        folder.stat().st_mode & 0o777 == 0o700
        and (folder / "instances.json").stat().st_mode & 0o777 == 0o600
    )


def test_hosts_that_are_worked_on_at_once_are_all_noted(tmp_path):
    fork = multiprocessing.get_context("fork")
    runs = [
        fork.Process(target=_registry.register, args=(tmp_path, "swf@%d/user" % number, URL, False))
        for number in range(20)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(_registry.read(tmp_path)) == 20


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"instances": []}'])
def test_a_list_that_is_none_is_not_taken_for_an_empty_one(tmp_path, text):
    (tmp_path / "instances.json").write_text(text)
    with pytest.raises(ValueError):
        _registry.register(tmp_path, "swf@one/user", URL, False)
    assert (tmp_path / "instances.json").read_text() == text


def test_users_are_the_instances_of_the_hosts():
    entries = {
        "groups": {"testbed": ["one", "two"]},
        "hostvars": {"one": {}, "two": {"swf_testbed_instance": "other"}},
    }
    wanted = {"group": "testbed", "instance": "swf", "scope": "system"}
    assert _registry.users_of(wanted, entries) == ["swf@one/system", "other@two/system"]
    assert _registry.users_of(dict(wanted, group="none"), entries) == []


PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - bnlnpps.swf_testbed.config_files:
        manifest: {instance: swf-one, scope: user, role: role}
        registry: {directory: "{{ controller }}", index_url: "https://index.example.org"}
        directories: [{path: "{{ home }}/made", mode: "0700"}]
"""


def test_the_note_of_a_second_controller_is_no_change(root, tmp_path):
    """What a run reports as changed is what it changed on hosts."""
    (tmp_path / "play.yml").write_text(PLAY)
    environment = dict(
        os.environ,
        HOME=str(tmp_path),
        ANSIBLE_NOCOLOR="1",
        ANSIBLE_COLLECTIONS_PATH=str(root / ".ansible/collections"),
    )
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        environment.pop(name, None)
    for controller, changed in (("one", 1), ("two", 0)):
        variables = {
            "controller": str(tmp_path / controller),
            "home": str(tmp_path),
            "ansible_python_interpreter": sys.executable,
        }
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                "localhost,",
                "-c",
                "local",
                "-e",
                json.dumps(variables),
                str(tmp_path / "play.yml"),
            ],
            cwd=tmp_path,
            env=environment,
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert "changed=%d" % changed in done.stdout, done.stdout
        assert (tmp_path / controller / "instances.json").exists()
