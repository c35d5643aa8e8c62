# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of wheels: made from real indexes by the action, and installed from by the module,
with no index there any more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.wheelhouse import (
    for_host,
    platforms,
)
from helpers.index_server import IndexServer, make_wheel, sha256

TOKEN = "canary0123456789canary0123456789canary01"
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - bnlnpps.swf_testbed.wheelhouse:
        dest: "{{ folder }}/house.tar"
        pythons: ["{{ python }}"]
        requirements: [swf-testbed]
        lock_file: "{{ folder }}/lock.txt"
        tools_lock_file: "{{ folder }}/tools.txt"
        indexes: "{{ indexes }}"
    - bnlnpps.swf_testbed.release_build:
        root: "{{ folder }}/root"
        version: 0.1.0
        lock_file: "{{ folder }}/lock.txt"
        tools_lock_file: "{{ folder }}/tools.txt"
        python: "{{ ansible_playbook_python }}"
        wheelhouse: "{{ folder }}/house.tar"
        import_check: [swf-testbed]
        indexes: "{{ indexes }}"
      when: install | default(false) | bool
"""


@pytest.fixture(name="play")
def run_a_play(root, tmp_path):
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAY)

    def play(indexes, *options):
        variables = {
            "folder": str(tmp_path),
            "indexes": indexes,
            "python": "%d.%d" % sys.version_info[:2],
            "ansible_python_interpreter": sys.executable,
        }
        environment = dict(
            os.environ,
            ANSIBLE_COLLECTIONS_PATH=str(root / ".ansible/collections"),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_LOCALHOST_WARNING="0",
        )
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                "localhost,",
                "-c",
                "local",
                str(playbook),
                "-e",
                json.dumps(variables),
                *options,
            ],
            cwd=tmp_path,
            env=environment,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        assert TOKEN not in done.stdout
        return done.returncode, done.stdout

    return play


@pytest.mark.nightly
def test_an_air_gapped_host_installs_from_the_archive(play, tmp_path):
    private, public = tmp_path / "private", tmp_path / "public"
    private.mkdir()
    public.mkdir()
    make_wheel(private, "swf-testbed", "0.1.0", ["public-thing"], script="swf-testbed")
    thing = make_wheel(public, "public-thing", "1.0")
    (tmp_path / "tools.txt").write_text("public-thing==1.0 --hash=sha256:%s\n" % sha256(thing))
    servers = IndexServer(private, TOKEN), IndexServer(public)
    indexes = [servers[0].as_index("swf", packages=["swf-*"]), servers[1].as_index("public")]
    try:
        code, output = play(indexes)
        assert code == 0 and "changed=1" in output, output
        code, output = play(indexes)
        assert code == 0 and "changed=0" in output, output
    finally:
        for server in servers:
            server.stop()
    with tarfile.open(tmp_path / "house.tar") as archive:
        assert archive.getnames() == [
            "public_thing-1.0-py3-none-any.whl",
            "swf_testbed-0.1.0-py3-none-any.whl",
        ]
    code, output = play(indexes, "-e", "install=true")
    assert code == 0 and "changed=1" in output, output
    release = next((tmp_path / "root/releases").iterdir())
    assert subprocess.check_output([release / "bin/swf-testbed"], text=True) == "hello\n"


def test_requirements_are_judged_for_the_python_of_the_hosts():
    text = (
        "a==1 ; python_full_version < '3.12' \\\n    --hash=sha256:00\n"
        "a==2 ; python_full_version >= '3.12' \\\n    --hash=sha256:11\n"
    )
    assert for_host(text, "3.11", "x86_64") == "a==1 \\\n    --hash=sha256:00\n"
    assert for_host(text, "3.13", "x86_64") == "a==2 \\\n    --hash=sha256:11\n"
    for marker in ("sys_platform == 'win32'", "platform_machine != 'aarch64'"):
        line = "w==1 ; %s \\\n    --hash=sha256:00\n" % marker
        assert for_host(line, "3.11", "aarch64") == "\n"


def test_wheels_for_an_older_c_library_are_taken_too():
    tags = platforms("x86_64", "2.34")
    assert (
        tags[0] == "manylinux_2_34_x86_64"
        and "manylinux_2_17_x86_64" in tags
        and "manylinux_2_35_x86_64" not in tags
    )
