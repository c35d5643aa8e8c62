# SPDX-License-Identifier: GPL-3.0-or-later
"""unpacked_archive, with archives on the disk and from a real web server."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from helpers.run_module import run_module


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
            "url": path.as_uri(),
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


def test_from_a_web_server(archive, tmp_path):
    path = archive(GOOD)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = "http://127.0.0.1:%d/" % server.server_port
        checksum = "sha512:" + hashlib.sha512(path.read_bytes()).hexdigest().upper()
        assert run_module(
            "unpacked_archive", arguments(path, tmp_path, url=url + path.name, checksum=checksum)
        )["changed"]
        missing = run_module(
            "unpacked_archive",
            arguments(path, tmp_path, url=url + "none", dest=str(tmp_path / "other")),
        )
        server.shutdown()
    assert missing["failed"] and "404" in missing["msg"] and "proxy" in missing["msg"]


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
    - ansible.builtin.get_url: {url: "%(url)s", checksum: "%(checksum)s", dest: "%(dest)s.tar.gz"}
    - ansible.builtin.file: {path: "%(dest)s", state: directory}
    - ansible.builtin.unarchive:
        src: "%(dest)s.tar.gz"
        dest: "%(dest)s"
        remote_src: true
        extra_opts: [--strip-components=1]
        creates: "%(dest)s/bin/run"
"""


def test_the_builtin_modules_cannot_do_it(archive, tmp_path):
    """The reason for this module: get_url and unarchive fail in check mode on a bare host, and what
    an interrupted run leaves passes for complete."""
    asked = arguments(archive(GOOD), tmp_path)
    dest = Path(asked["dest"])
    dest.parent.mkdir()
    (tmp_path / "play.yml").write_text(UNARCHIVE % asked)

    def play(*more):
        program = str(Path(sys.executable).parent / "ansible-playbook")
        environment = dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_HOME=str(tmp_path / "ansible"))
        command = [program, "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml"), *more]
        return subprocess.run(
            command, env=environment, text=True, stdout=subprocess.PIPE, check=False
        )

    predicted = play("--check")
    assert predicted.returncode != 0 and "must be an existing dir" in predicted.stdout, (
        predicted.stdout
    )
    assert run_module("unpacked_archive", asked, check=True)["changed"]
    (dest / "bin").mkdir(parents=True)
    (dest / "bin/run").touch()
    done = play()
    assert done.returncode == 0 and "failed=0" in done.stdout, done.stdout
    assert not (dest / "lib").exists()
