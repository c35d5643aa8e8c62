# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of the packages of the index, which is made before they are removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

TASKS = Path(__file__).resolve().parents[3] / "roles/package_index/tasks/archive.yml"
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_tasks: %s
"""


@pytest.fixture(name="back_up")
def run_the_tasks(tmp_path):
    (tmp_path / "packages/sub").mkdir(parents=True)
    (tmp_path / "packages/a-1.0.whl").write_bytes(os.urandom(1000))
    (tmp_path / "packages/sub/b-1.0.whl").write_bytes(b"b")
    (tmp_path / "play.yml").write_text(PLAY % TASKS)

    def back_up(*arguments, packages="packages", backups="back ups"):
        """(names of the archives, output)."""
        variables = {
            "ansible_python_interpreter": sys.executable,
            "swf_testbed_index_instance": "swf-index",
            "__package_index_packages": str(tmp_path / packages),
            "__package_index_backups": str(tmp_path / backups),
        }
        program = str(Path(sys.executable).parent / "ansible-playbook")
        command = [program, "-i", "localhost,", "-c", "local", "-e", json.dumps(variables)]
        done = subprocess.run(
            [*command, *arguments, str(tmp_path / "play.yml")],
            env=dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_HOME=str(tmp_path / "ansible")),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return sorted((tmp_path / backups).glob("*")), " ".join(done.stdout.split())

    return back_up


def test_all_packages_are_in_one_archive_that_only_its_owner_can_read(back_up, tmp_path):
    archives, output = back_up("--check")
    assert archives == [] and "changed=2 " in output and "failed=0 " in output, output
    archives, output = back_up()
    assert "changed=2 " in output and "failed=0 " in output, output
    (archive,) = archives
    assert archive.name.startswith("swf-index-packages-") and archive.stat().st_mode & 0o77 == 0
    assert archive.parent.stat().st_mode & 0o777 == 0o700
    with tarfile.open(archive) as tar:
        assert {"./a-1.0.whl", "./sub/b-1.0.whl"} <= set(tar.getnames())
        content = tar.extractfile("./a-1.0.whl").read()
    assert content == (tmp_path / "packages/a-1.0.whl").read_bytes()
    # the same packages once, others in addition
    archives, output = back_up()
    assert archives == [archive] and "changed=0 " in output, output
    (tmp_path / "packages/a-1.0.whl").write_bytes(b"else")
    assert len(back_up()[0]) == 2


@pytest.mark.nightly
def test_no_archive_is_made_of_no_packages(back_up, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("absent", "empty"):
        _archives, output = back_up(packages=name)
        assert "changed=0 " in output and "failed=0 " in output, output
    assert not (tmp_path / "back ups").exists()


@pytest.mark.nightly
def test_a_directory_that_cannot_hold_the_archive_is_refused(back_up, tmp_path):
    _archives, output = back_up(backups="packages/backups")
    assert "would be removed with the packages" in output and "failed=1 " in output, output
    (tmp_path / "link").symlink_to(tmp_path / "packages/sub")
    _archives, output = back_up(backups="link/backups")
    assert "would be removed with the packages" in output and "failed=1 " in output, output
    assert not (tmp_path / "packages/sub/backups").exists()
    (tmp_path / "file").touch()
    _archives, output = back_up(backups="file/backups")
    assert "failed=1 " in output and "file/backups" in output, output
