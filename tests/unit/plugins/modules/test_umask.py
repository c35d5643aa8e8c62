# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules make is read by a service's user and written by nobody else, whatever the
login's umask. Real uv and pip."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tarfile
from pathlib import Path

import pytest

from helpers.index_server import make_wheel, sha256
from helpers.run_module import run_module, run_release_build

UMASKS = pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)


@pytest.fixture(autouse=True)
def the_umask(umask):
    before = os.umask(umask)
    yield
    os.umask(before)


def wrong(path):
    """What below a directory, itself included, others cannot read, or can write."""
    found = []
    for item in [path, *path.rglob("*")]:
        mode = item.lstat().st_mode
        needed = 0o555 if stat.S_ISDIR(mode) or mode & 0o100 else 0o444
        if not stat.S_ISLNK(mode) and (mode & needed != needed or mode & 0o022):
            found.append("%s %o" % (item.relative_to(path), mode & 0o7777))
    return found


@UMASKS
@pytest.mark.parametrize("installer", ["uv", pytest.param("pip", marks=pytest.mark.nightly)])
def test_a_release_is_read_by_everybody(tmp_path, installer):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = make_wheel(wheels, "swf-testbed", "0.1.0", script="swf-testbed")
    lock = "swf-testbed==0.1.0 --hash=sha256:%s\n" % sha256(wheel)
    answer = run_release_build(
        {
            "root": str(tmp_path / "opt/swf-testbed"),
            "version": "0.1.0",
            "lock_file": "x",
            "tools_lock_file": "x",
            "lock": lock,
            "tools_lock": lock,
            "python": sys.executable,
            "import_check": ["swf-testbed"],
            "installer": installer,
            "indexes": [{"name": "wheels", "preset": "directory", "url": str(wheels)}],
        },
        # a cache that was filled under the same umask
        env=dict(os.environ, UV_CACHE_DIR=str(tmp_path / "opt/cache")),
    )
    assert not answer["failed"], answer
    assert wrong(Path(answer["path"])) == [] and wrong(Path(answer["tools"])) == []
    above = [tmp_path / "opt", tmp_path / "opt/swf-testbed", tmp_path / "opt/swf-testbed/releases"]
    assert [oct(folder.stat().st_mode & 0o777) for folder in above] == ["0o755"] * 3


@UMASKS
def test_a_configuration_file_is_reached_by_those_who_may_read_it(tmp_path):
    folder = tmp_path / "etc/deep/service.d"
    answer = run_module(
        "config_files",
        {
            "directories": [{"path": str(folder)}],
            "files": [
                {"dest": str(folder / "ours.conf"), "content": "x\n", "mode": "0644"},
                {"dest": str(folder / "token"), "secret_content": "x\n", "secret": True},
            ],
        },
    )
    assert not answer["failed"], answer
    (folder / "token").unlink()
    assert wrong(tmp_path / "etc") == []


@UMASKS
def test_an_unpacked_archive_is_read_by_everybody(tmp_path):
    (tmp_path / "broker-1").mkdir()
    (tmp_path / "broker-1/run").write_text("#!/bin/sh\n")
    path = tmp_path / "broker.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "broker-1", "broker-1")
    answer = run_module(
        "unpacked_archive",
        {
            "src": str(path),
            "checksum": "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(),
            "dest": str(tmp_path / "opt/lab/broker"),
        },
    )
    assert not answer["failed"], answer
    assert wrong(tmp_path / "opt") == []


@UMASKS
def test_pips_settings_of_a_site_are_read_by_everybody(tmp_path):
    answer = run_module(
        "pip_config",
        {
            "scope": "site",
            "site": str(tmp_path / "opt/venv"),
            "owner": "swf-testbed",
            "record": str(tmp_path / "etc/record.json"),
            "indexes": [{"name": "lab", "url": "https://index.example.org/simple/"}],
        },
        env=dict(os.environ, HOME=str(tmp_path)),
    )
    assert not answer["failed"], answer
    assert (tmp_path / "opt/venv/pip.conf").exists() and wrong(tmp_path / "opt") == []
