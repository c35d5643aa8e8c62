# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles of a host need on the controller, in one problem."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import (
    _controller_tools,
)

ALL = ("broker", "common", "package_index", "release")


class Values(dict):
    def text(self, name):
        return self.get(name, "")

    def entries(self, name):
        return self.get(name, [])


def names(roles=ALL, **values):
    values = Values({"swf_testbed_" + name: value for name, value in values.items()})
    return [name for name, _purpose in _controller_tools.needed(values, roles)]


def test_each_role_needs_its_tools(tmp_path):
    sources = {"package_index_sources": ["/packages/x"]}
    assert names(**sources) == ["uv", "build", "twine", "lxml"]
    assert names() == ["uv", "lxml"]
    assert names(roles=["common"], **sources) == []
    assert names(release_wheelhouse="/archive", broker_archive_url="https://x") == []
    lock = tmp_path / "lock.txt"
    assert names(roles=["release"], release_lock_file=str(lock)) == ["uv"]
    lock.touch()
    assert names(roles=["release"], release_lock_file=str(lock)) == []


def test_one_problem_names_all_and_the_command(monkeypatch):
    monkeypatch.setattr(_controller_tools, "is_installed", lambda name: name == "lxml")
    values = Values(swf_testbed_package_index_sources=["/packages/x"])
    (found,) = _controller_tools.missing_tools(values, ALL)
    for name in ("uv (", "build (", "twine ("):
        assert name in found.evidence
    assert "lxml" not in found.evidence and found.fix.endswith("requirements.txt")


def test_nothing_is_missing_here():
    values = Values(swf_testbed_package_index_sources=["/packages/x"])
    assert list(_controller_tools.missing_tools(values, ALL)) == []


@pytest.mark.parametrize("name", ["pip", "yaml"])
def test_a_package_is_found_and_a_directory_of_its_name_is_none(name, tmp_path, monkeypatch):
    (tmp_path / "swf_no_package").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert _controller_tools.is_installed(name)
    assert not _controller_tools.is_installed("swf_no_package")
    assert not _controller_tools.is_installed("swf_absent")
