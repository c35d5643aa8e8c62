# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of the packages of the index, which is made before they are removed."""

from __future__ import annotations

import json
import sys
import tarfile

from helpers.playbook import ROOT, environment, play

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_tasks: %s/roles/package_index/tasks/archive.yml
"""


def test_the_packages_are_archived_under_the_name_of_the_instance(tmp_path):
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/a-1.0.whl").write_bytes(b"a")
    (tmp_path / "play.yml").write_text(PLAY % ROOT)
    variables = {
        "ansible_python_interpreter": sys.executable,
        "swf_testbed_index_instance": "swf-index",
        "__package_index_packages": str(tmp_path / "packages"),
        "__package_index_backups": str(tmp_path / "back ups"),
    }
    code, output = play(
        *("-i", "localhost,", "-c", "local", "-e", json.dumps(variables)),
        str(tmp_path / "play.yml"),
        env=environment(tmp_path),
    )
    assert code == 0 and "changed=1 " in output, output
    (archive,) = (tmp_path / "back ups").iterdir()
    assert archive.name.startswith("swf-index-packages-")
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["./a-1.0.whl"]
