# SPDX-License-Identifier: GPL-3.0-or-later
"""A release in which something was changed, made by a real installer from small wheels."""

from __future__ import annotations

import os
import sys

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import installer
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.drift import differences
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    build,
    manifest,
)
from helpers.index_server import make_wheel, sha256


@pytest.fixture(name="release", params=["uv", pytest.param("pip", marks=pytest.mark.nightly)])
def a_release(request, tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lock = "".join(
        "%s==1.0 --hash=sha256:%s\n" % (name, sha256(make_wheel(wheels, name, "1.0", script=name)))
        for name in ("swf-one", "swf-two")
    )
    path = tmp_path / "releases/1-a"
    build(
        str(path),
        lock,
        sys.executable,
        installer(request.param),
        normalised([{"name": "here", "preset": "directory", "url": str(wheels)}]),
    )
    return path


def found(release):
    return differences(str(release), manifest(str(release)))


def test_what_was_changed_is_seen(release):
    assert found(release) == []
    packages = next(release.glob("lib/python*/site-packages"))
    module = packages / "swf_one/__init__.py"
    text = module.read_text()
    # touched, and the same: a restored backup
    module.unlink()
    module.write_text(text)
    os.utime(module, (2e9, 2e9))
    assert found(release) == []
    module.write_text(text.replace("hello", "jello"))
    os.utime(module, (2e9, 2e9))
    assert found(release) == ["%s was changed after the release was built" % module]
    module.write_text("pass\n")
    assert "has 5 bytes, and had" in found(release)[0]
    module.unlink()
    assert found(release) == ["%s is gone" % module]
    module.write_text(text)
    (packages / "sitecustomize.py").touch()
    assert found(release) == ["%s was added" % (packages / "sitecustomize.py")]
    (packages / "sitecustomize.py").unlink()
    (packages / "swf_two-1.0.dist-info").rename(packages / "swf_two-1.1.dist-info")
    assert "the package swf-two is 1.1, and was 1.0" in found(release)
    (release / "bin/swf-one").unlink()
    assert any(line.endswith("bin/swf-one is gone") for line in found(release))
