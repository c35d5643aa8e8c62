# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds on a disk that gets full, a real one, in a mount namespace of its own."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.errors import explain
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import environments
from helpers.index_server import make_wheel, sha256

COLLECTIONS = Path(__file__).resolve().parents[5] / ".ansible" / "collections"
BUILD = """
import json, os, sys
collections, root, kind, wheels, lock = sys.argv[1:]
sys.path.insert(0, collections)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import environments as release_environments
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import installers as build_installers
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.errors import explain
index = {"name": "pypi", "role": "primary", "preset": "directory", "url": wheels, "packages": []}
try:
    release_environments.build(root + "/releases/1", lock, sys.executable, build_installers.installer(kind), [index])
    text = ""
except build_installers.InstallError as error:
    text = explain(error)
usage = os.statvfs(root)
print(json.dumps([text, os.listdir(root + "/releases"), usage.f_bavail * usage.f_frsize]))
"""


@pytest.fixture(name="wheels", scope="module")
def a_large_wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    make_wheel(
        folder,
        "large",
        "1.0",
        body="".join("def f%d(a):\n    return [a, 'text %d']\n" % (n, n) for n in range(50_000)),
    )
    return folder


def built(tmp_path, wheels, megabytes, tool):
    """(the message, what is in releases, bytes that are free) of a build on a disk of so many
    MB."""
    root, lock = tmp_path / "root", "large==1.0 --hash=sha256:%s\n" % sha256(next(wheels.iterdir()))
    root.mkdir()
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "sh",
            "-c",
            'mount -t tmpfs -o size=%dm none "$1"; shift; exec "$@"' % megabytes,
            "sh",
            str(root),
            sys.executable,
            "-c",
            BUILD,
            str(COLLECTIONS),
            str(root),
            tool,
            str(wheels),
            lock,
        ],
        env=dict(os.environ, UV_LINK_MODE="copy", UV_CACHE_DIR=str(tmp_path / "cache")),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if ("unshare" in done.stderr or "mount:" in done.stderr) and "CI" not in os.environ:
        pytest.skip("nothing can be mounted here: " + done.stderr)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
@pytest.mark.parametrize(
    ("tool", "megabytes", "doing"),
    [
        ("uv", 1, "could not install"),
        # uv writes no bytecode and says nothing
        ("uv", 5, "could not compile"),
        # ensurepip keeps its reason for itself; the issue does not name it
        ("pip", 12, "could not make the environment"),
    ],
)
def test_nothing_is_left_and_the_cause_is_told(tmp_path, wheels, tool, megabytes, doing):
    text, left, free = built(tmp_path, wheels, megabytes, tool)
    assert text.startswith(doing) and "the disk is full" in text, text
    assert "MB are free at %s/root" % tmp_path in text and "du -xh" in text
    assert left == [] and free > megabytes * 900_000


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_with_room_it_is_built(tmp_path, wheels):
    text, left, _free = built(tmp_path, wheels, 60, "uv")
    assert (text, left) == ("", ["1"])


class StandIn:
    """An installer that makes a file and fails."""

    def __init__(self, error):
        self.error = error

    def create(self, venv, _python):
        os.makedirs(venv)
        Path(venv, "half").touch()
        raise self.error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (
            InstallError("install", "failed to copy: Disk quota exceeded (os error 122)"),
            "the disk quota is used up",
        ),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "the disk quota is used up"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "the disk is full"),
        (InstallError("install", "HTTP status code: 401"), "the index rejected"),
    ],
)
def test_stand_in_a_failure_leaves_nothing(tmp_path, error, cause):
    path = tmp_path / "releases" / "1"
    with pytest.raises(InstallError) as caught:
        environments.build(str(path), "", sys.executable, StandIn(error), [])
    assert cause in explain(caught.value) and not path.exists()
