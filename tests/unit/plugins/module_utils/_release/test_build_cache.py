# SPDX-License-Identifier: GPL-3.0-or-later
"""Where uv and pip keep what they fetched for us, and how much of it stays. Built with real ones
from wheels over HTTP."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
    installer,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import build_cache
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import build
from helpers.index_server import IndexServer, make_wheel, sha256

# MB of the wheel
SIZE = 2


@pytest.fixture(name="index", scope="module")
def an_index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    make_wheel(folder, "thing", "1.0", body="text = '''%s'''\n" % os.urandom(SIZE * 500_000).hex())
    server = IndexServer(folder)
    yield server
    server.stop()


@pytest.fixture(name="home")
def a_home(tmp_path, monkeypatch):
    for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def built(root, index, tool, max_mb, release="1"):
    lock = "thing==1.0 --hash=sha256:%s\n" % sha256(index.folder / "thing-1.0-py3-none-any.whl")
    with build_cache.cache_of(str(root), max_mb) as caches:
        return build(
            str(root / "releases" / release),
            lock,
            sys.executable,
            installer(tool, caches=caches),
            normalised([index.as_index("public")]),
        )


def files(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def wheels_sent(index):
    return index.asked_for().count(".whl")


def test_it_is_beside_the_releases_and_the_next_one_comes_from_it(tmp_path, home, index):
    built(tmp_path / "root", index, "uv", 100)
    cached = files(tmp_path / "root/cache/uv")
    assert sum(path.stat().st_size for path in cached) > SIZE * 1_000_000
    assert (tmp_path / "root/cache").stat().st_mode & 0o777 == 0o700
    sent = wheels_sent(index)
    built(tmp_path / "root", index, "uv", 100, release="2")
    assert wheels_sent(index) == sent and not files(home / ".cache")


@pytest.mark.nightly
def test_with_pip_the_logins_own_does_not_grow_either(tmp_path, home, index):
    """This index tells no client to keep a file, as PyPI does, so pip keeps none."""
    assert built(tmp_path / "root", index, "pip", 100)["packages"]["thing"] == "1.0"
    assert not files(home / ".cache")


def test_one_that_is_too_large_is_removed_and_the_release_stays(tmp_path, home, index):
    built(tmp_path / "root", index, "uv", SIZE - 1)
    assert os.listdir(tmp_path / "root") == ["releases"]
    # it has files of its own
    assert (
        sum(path.stat().st_size for path in files(tmp_path / "root/releases/1")) > SIZE * 1_000_000
    )
    sent = wheels_sent(index)
    assert built(tmp_path / "root", index, "uv", 0, release="2")["packages"]["thing"] == "1.0"
    assert wheels_sent(index) > sent and not files(home / ".cache")


def test_one_that_the_login_names_is_left_to_it(tmp_path, home, index, monkeypatch):
    for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR"):
        monkeypatch.setenv(name, str(home / "scratch"))
    built(tmp_path / "root", index, "uv", 0)
    assert sum(path.stat().st_size for path in files(home / "scratch")) > SIZE * 1_000_000
    assert os.listdir(tmp_path / "root") == ["releases"]


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (InstallError("install", "No space left on device (os error 28)"), False),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), False),
        (InstallError("install", "HTTP status code: 503"), True),
    ],
)
def test_a_full_disk_gets_its_room_back(tmp_path, error, stays):
    with pytest.raises(type(error)), build_cache.cache_of(str(tmp_path), 1000):
        (tmp_path / "cache/half").write_text("x")
        raise error
    assert (tmp_path / "cache").exists() == stays


def test_a_build_on_the_controller_leaves_nothing(tmp_path, home):
    """Its tools come from the index that pip here is set up for."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = '
        '"setuptools.build_meta"\n[project]\nname = "x"\n'
        'version = "1"\n'
    )
    assert wheels.build(str(tmp_path / "source"), ["wheel"], str(tmp_path / "out"))["wheel"]
    assert not files(home / ".cache")
