# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that was built for one platform is never sent to another."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import archive
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._release_board import Board

PLACES = {"release": ("/opt/x/releases/1", None), "tools": ("/opt/x/tools/a", None)}
PYTHON = {"path": "/usr/bin/python3.12", "version": "3.12.3"}
EL10 = {"family": "RedHat", "id": "almalinux", "release": "10"}
UBUNTU = {"family": "Debian", "id": "ubuntu", "release": "24"}


@pytest.fixture(name="key")
def key_of_a_host(monkeypatch):
    def key(system=None, libc="glibc 2.39", machine="x86_64", **python):
        monkeypatch.setattr(archive, "distribution", lambda: system or EL10)
        monkeypatch.setattr(archive, "libc", lambda: libc)
        monkeypatch.setattr(archive.platform, "machine", lambda: machine)
        monkeypatch.setattr(archive, "find_python", lambda _name: {**PYTHON, **python})
        return archive.platform_key("python3", PLACES)

    return key


@pytest.mark.parametrize(
    "other",
    [
        {"libc": "glibc 2.34"},
        {"libc": ""},
        {"machine": "aarch64"},
        {"version": "3.11.9"},
        {"path": "/usr/local/bin/python3.12"},
        # EL 10 and Ubuntu 24.04 have the same C library and Python
        {"system": UBUNTU},
        {"system": {**EL10, "release": "9"}},
    ],
)
def test_a_host_of_another_platform_does_not_get_it(key, other, tmp_path):
    board = Board(str(tmp_path))
    for host, platform in (("one", key()), ("two", key(**other))):
        entry = board.take(host, "/opt/x")
        board.note(entry, platform_key=platform, lacks=["release"], result={})
    mine = board.take("two", "/opt/x")
    assert [entry["host"] for entry in board.alike(mine, ["one", "two"], ["one", "two"])] == ["two"]
    assert board.archive(mine) != board.archive(board.take("one", "/opt/x"))


@pytest.mark.parametrize(
    "other", [{"version": "3.12.9"}, {"system": {**EL10, "id": "rocky"}}], ids=str
)
def test_a_rebuild_of_el_and_an_update_of_python_are_the_same_platform(key, other):
    assert key() == key(**other)
