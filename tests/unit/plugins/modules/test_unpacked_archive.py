# SPDX-License-Identifier: GPL-3.0-or-later
"""unpacked_archive: the module, and with ansible-playbook its action."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from helpers.run_module import COLLECTIONS, run_module


def entry(name, file_type=tarfile.REGTYPE, text=b"", mode=0o644, link=""):
    found = tarfile.TarInfo(name)
    found.type, found.size, found.mode, found.linkname = file_type, len(text), mode, link
    return found, io.BytesIO(text)


GOOD = [
    entry("broker-1/", tarfile.DIRTYPE, mode=0o700),
    entry("broker-1/bin/run", text=b"#!/bin/sh\n", mode=0o4777),
    entry("broker-1/lib/boot.jar", text=b"x", mode=0o600),
    entry("broker-1/lib/link.jar", tarfile.SYMTYPE, link="boot.jar"),
]


@pytest.fixture
def archive(tmp_path):
    def make(entries):
        path = tmp_path / "broker.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for member, content in entries:
                content.seek(0)
                tar.addfile(member, content)
        return path

    return make


def arguments(path, tmp_path, **changed):
    return dict(
        {
            "src": str(path),
            "checksum": "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(),
            "dest": str(tmp_path / "opt" / "broker"),
        },
        **changed,
    )


def test_unpacks_without_the_top_and_with_modes_of_its_own(archive, tmp_path):
    asked = arguments(archive(GOOD), tmp_path)
    assert run_module("unpacked_archive", asked, check=True)["changed"]
    assert not (tmp_path / "opt").exists()
    assert run_module("unpacked_archive", asked)["changed"]
    dest = tmp_path / "opt" / "broker"
    assert (dest / "lib/link.jar").read_bytes() == b"x"
    assert [(dest / name).stat().st_mode & 0o7777 for name in ("", "bin/run", "lib/boot.jar")] == [
        0o755,
        0o755,
        0o644,
    ]
    assert os.listdir(tmp_path / "opt") == ["broker"]
    again = run_module("unpacked_archive", asked)
    assert not again["changed"] and not again["failed"]


def test_the_oldest_directories_are_removed(archive, tmp_path):
    asked = arguments(archive(GOOD), tmp_path)
    for name in ("1", "2", "3"):
        dest = str(tmp_path / "opt" / name)
        done = run_module("unpacked_archive", dict(asked, dest=dest, keep=2))
        assert not done["failed"], done
    assert sorted(os.listdir(tmp_path / "opt")) == ["2", "3"]
    assert done["removed"] == [str(tmp_path / "opt" / "1")]


PLAY = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - bnlnpps.swf_testbed.unpacked_archive: {src: "%(src)s", checksum: "%(checksum)s", dest: "%(dest)s"}
"""


def play(tmp_path, text, *more):
    (tmp_path / "play.yml").write_text(text)
    program = str(Path(sys.executable).parent / "ansible-playbook")
    environment = dict(
        os.environ,
        ANSIBLE_NOCOLOR="1",
        ANSIBLE_HOME=str(tmp_path / "ansible"),
        ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
    )
    command = [program, "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml"), *more]
    return subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, check=False)


def test_the_action_checks_and_copies_the_archive_of_the_controller(archive, tmp_path):
    asked = arguments(archive(GOOD), tmp_path)
    # check mode needs no archive
    predicted = play(tmp_path, PLAY % dict(asked, src="/none"), "--check")
    assert predicted.returncode == 0 and "changed=1" in predicted.stdout, predicted.stdout
    wrong = play(tmp_path, PLAY % dict(asked, checksum="sha256:" + "0" * 64))
    assert "The archive on the controller cannot be used" in wrong.stdout, wrong.stdout
    assert not (tmp_path / "opt").exists()
    done = play(tmp_path, PLAY % asked)
    assert done.returncode == 0 and "changed=1" in done.stdout, done.stdout
    assert (tmp_path / "opt/broker/bin/run").is_file()
    again = play(tmp_path, PLAY % asked)
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout


@pytest.mark.parametrize(
    "bad",
    [
        entry("../outside", text=b"x"),
        entry("/outside", text=b"x"),
        entry("broker-1/link", tarfile.SYMTYPE, link="../../outside"),
        entry("broker-1/link", tarfile.SYMTYPE, link="/etc/passwd"),
        entry("broker-1/link", tarfile.LNKTYPE, link="../outside"),
        entry("broker-1/device", tarfile.CHRTYPE),
    ],
)
def test_what_would_be_elsewhere_is_refused_and_nothing_stays(archive, tmp_path, bad):
    answer = run_module("unpacked_archive", arguments(archive([*GOOD, bad]), tmp_path))
    assert answer["failed"] and bad[0].name in answer["msg"]
    assert os.listdir(tmp_path / "opt") == []


def test_another_archive_than_the_known_one_is_not_unpacked(archive, tmp_path):
    answer = run_module(
        "unpacked_archive", arguments(archive(GOOD), tmp_path, checksum="sha256:" + "0" * 64)
    )
    assert answer["failed"] and "was expected" in answer["msg"]
    assert not (tmp_path / "opt").exists()


def test_bad_input_is_refused(archive, tmp_path):
    path = archive(GOOD)
    assert (
        "64 hexadecimal digits"
        in run_module("unpacked_archive", arguments(path, tmp_path, checksum="md5:1"))["msg"]
    )
    (tmp_path / "file").write_text("")
    assert (
        "is not a directory"
        in run_module("unpacked_archive", arguments(path, tmp_path, dest=str(tmp_path / "file")))[
            "msg"
        ]
    )
    (tmp_path / "text.tar.gz").write_text("no archive")
    assert (
        "is not a readable tar archive"
        in run_module("unpacked_archive", arguments(tmp_path / "text.tar.gz", tmp_path))["msg"]
    )


UNARCHIVE = """
- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - ansible.builtin.copy: {src: "%(src)s", dest: "%(dest)s.tar.gz", mode: "0600"}
    - ansible.builtin.file: {path: "%(dest)s", state: directory}
    - ansible.builtin.unarchive:
        src: "%(dest)s.tar.gz"
        dest: "%(dest)s"
        remote_src: true
        extra_opts: [--strip-components=1]
        creates: "%(dest)s/bin/run"
"""


@pytest.mark.nightly
def test_the_builtin_modules_cannot_do_it(archive, tmp_path):
    """The reason for this module: copy and unarchive fail in check mode on a bare host, and what
    an interrupted run leaves passes for complete."""
    asked = arguments(archive(GOOD), tmp_path)
    dest = Path(asked["dest"])
    dest.parent.mkdir()
    text = UNARCHIVE % asked
    predicted = play(tmp_path, text, "--check")
    assert predicted.returncode != 0 and "must be an existing dir" in predicted.stdout, (
        predicted.stdout
    )
    assert run_module("unpacked_archive", asked, check=True)["changed"]
    (dest / "bin").mkdir(parents=True)
    (dest / "bin/run").touch()
    done = play(tmp_path, text)
    assert done.returncode == 0 and "failed=0" in done.stdout, done.stdout
    assert not (dest / "lib").exists()
