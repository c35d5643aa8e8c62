# SPDX-License-Identifier: GPL-3.0-or-later
"""Against a real index (pypiserver) with a real password, with real builds."""

from __future__ import annotations

import json

import pytest
from index_server import IndexServer

from ansible_collections.bnlnpps.swf_testbed.plugins.modules.package_publish import has
from run_module import run_module

TOKEN = "canary0123456789canary0123456789canary01"
PYPROJECT = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"
[project]
name = "swf-thing"
version = "VERSION"
[tool.hatch.build.targets.wheel]
packages = ["src/swf_thing"]
"""


@pytest.fixture(name="index")
def empty_index(tmp_path):
    server = IndexServer(tmp_path / "packages", TOKEN)
    yield server
    server.stop()


@pytest.fixture(name="source")
def source_folder(tmp_path):
    folder = tmp_path / "source"
    (folder / "src/swf_thing").mkdir(parents=True)
    (folder / "src/swf_thing/__init__.py").touch()
    (folder / "pyproject.toml").write_text(PYPROJECT.replace("VERSION", "1.0"))
    return folder


def publish(index, source, check=False, **overrides):
    arguments = {"sources": [str(source)], "index_url": index.url, "upload_url": index.url.replace("simple/", ""),
                 "username": index.user, "token": TOKEN, "wait": 0}
    return run_module("package_publish", dict(arguments, **overrides), check=check)


def test_publishes_what_the_index_lacks(index, source):
    before = sorted(path.name for path in source.rglob("*"))
    assert publish(index, source, check=True)["published"] == ["swf-thing 1.0"]
    assert list(index.folder.iterdir()) == []
    answer = publish(index, source)
    assert answer["changed"] and answer["published"] == ["swf-thing 1.0"], answer
    assert [path.name.partition("-py")[0] for path in index.folder.iterdir()] == ["swf_thing-1.0"]
    again = publish(index, source)
    assert not again["changed"] and again["present"] == ["swf-thing 1.0"]
    (source / "pyproject.toml").write_text(PYPROJECT.replace("VERSION", "1.0.1"))
    assert publish(index, source)["published"] == ["swf-thing 1.0.1"]
    assert sorted(path.name for path in source.rglob("*")) == before


def test_wrong_token_is_named(index, source):
    answer = publish(index, source, token="wrong")
    assert answer["failed"] and "refused the user 'reader'" in answer["msg"] and "swf_testbed_index_token" in answer["msg"]


def test_no_index_is_named_and_in_check_mode_predicted(index, source):
    index.stop()
    assert "nothing answers at the index" in publish(index, source)["msg"]
    assert publish(index, source, check=True)["published"] == ["swf-thing 1.0"]


def test_a_broken_package_shows_the_cause(index, source):
    (source / "pyproject.toml").write_text(PYPROJECT.replace("VERSION", "not a version"))
    answer = publish(index, source)
    assert answer["failed"] and "could not build" in answer["msg"] and "not a version" in answer["msg"]
    assert TOKEN not in json.dumps(answer)
    (source / "pyproject.toml").write_text("[project")
    assert "is not valid TOML" in publish(index, source)["msg"]
    (source / "pyproject.toml").unlink()
    assert "cannot read" in publish(index, source)["msg"]


@pytest.mark.parametrize("file,there", [
    ("swf_thing-1.0-py3-none-any.whl", True), ("swf-thing-1.0.tar.gz", True), ("swf_thing-1.0.1-py3-none-any.whl", False),
    ("swf_thing-1.0.dev1.tar.gz", False), ("swf_thing_extra-1.0-py3-none-any.whl", False)])
def test_versions_are_told_apart(file, there):
    assert has('<a href="/x#sha256=0">%s</a>' % file, "swf-thing", "1.0") == there
