# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases share no file: a change of the active one changes neither the previous one nor the cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import installer
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import build_cache
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.drift import differences
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    build,
    manifest,
)
from helpers.index_server import make_wheel, sha256
from helpers.small_site import Site
from helpers.unprivileged import unprivileged_home


def files(top):
    """{path: (inode, mode, digest)} of all files below a directory."""
    found = {}
    for folder, _folders, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if not os.path.islink(path):
                with open(path, "rb") as stream:
                    digest = hashlib.sha256(stream.read()).hexdigest()
                found[path] = (status.st_dev, status.st_ino), status.st_mode, digest
    return found


def inodes(top):
    return {inode for inode, _mode, _digest in files(top).values()}


def disturb(release, first, second):
    """Append a byte to a module, and change the mode of another."""
    packages = next(release.glob("lib/python*/site-packages"))
    with open(packages / first, "a", encoding="utf-8") as stream:
        stream.write("#")
    (packages / second).chmod(0o600)
    return str(packages / first), str(packages / second)


@pytest.mark.parametrize("tool", ["uv", pytest.param("pip", marks=pytest.mark.nightly)])
def test_a_change_of_a_release_changes_no_other(tmp_path, tool):
    wheels, root = tmp_path / "wheels", tmp_path / "root"
    wheels.mkdir()
    lock = "".join(
        "%s==1.0 --hash=sha256:%s\n" % (name, sha256(make_wheel(wheels, name, "1.0", script=name)))
        for name in ("swf-one", "swf-two")
    )
    indexes = normalised([{"name": "here", "preset": "directory", "url": str(wheels)}])
    for release in ("previous", "active"):
        with build_cache.cache_of(str(root), 100) as caches:
            path = str(root / "releases" / release)
            build(path, lock, sys.executable, installer(tool, caches=caches), indexes)
    previous, active = root / "releases/previous", root / "releases/active"
    before = files(previous), inodes(root / "cache")
    assert not before[1] & (inodes(previous) | inodes(active))
    assert not inodes(previous) & inodes(active)
    assert {os.lstat(path).st_nlink for path in before[0]} == {1}
    names = disturb(active, "swf_one/__init__.py", "swf_two/__init__.py")
    assert (files(previous), inodes(root / "cache")) == before
    found = differences(str(active), manifest(str(active)))
    assert [line.split(" ")[0] for line in found] == list(names)
    assert found[1].endswith(" has the mode 0600, and had 0644")
    assert differences(str(previous), manifest(str(previous))) == []
    assert subprocess.check_output([str(previous / "bin/swf-one")], text=True) == "hello\n"


@pytest.mark.nightly
def test_a_rollback_gets_the_release_as_it_was_built():
    with unprivileged_home() as folder:
        site = Site(folder)
        assert site.site()[0] == 0
        previous = site.release()
        before = files(previous)
        stack = folder / "stack.yml"
        stack.write_text(
            stack.read_text().replace("[iniconfig==2.0.0]", "[iniconfig==2.0.0, pluggy==1.5.0]")
        )
        try:
            code, output = site.site()
            assert code == 0 and site.release() != previous, output
            first, second = disturb(
                site.release(), "iniconfig/__init__.py", "iniconfig/exceptions.py"
            )
            assert files(previous) == before
            output = site.play("status.yml")[1]
            assert first in output and second in output, output
            code, output = site.play("rollback.yml")
            assert code == 0 and "The testbed is running" in output, output
            assert site.release() == previous and files(previous) == before
        finally:
            site.stop()
