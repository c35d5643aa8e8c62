# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is built with the Python that its name stands for on the host, by uv and by pip, and
not again by the next run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import find_uv
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.python import find_python
from helpers.index_server import make_wheel, sha256
from helpers.run_module import run_release_build

BASE = os.path.realpath(sys._base_executable)
# another Python than that of these tests, where the machine has one that has its own path
OTHERS = [
    found
    for found in (find_python("python3.%d" % minor) for minor in (10, 11, 12, 13))
    if found and found["path"] != BASE
]


@pytest.fixture(name="build")
def build_with(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lock = "swf-testbed==0.1.0 --hash=sha256:%s\n" % sha256(
        make_wheel(wheels, "swf-testbed", "0.1.0", script="swf-testbed")
    )

    def build(python, path, installer):
        answer = run_release_build(
            {
                "root": str(tmp_path / "root"),
                "version": "0.1.0",
                "lock_file": "x",
                "tools_lock_file": "x",
                "lock": lock,
                "tools_lock": lock,
                "python": python,
                "import_check": ["swf-testbed"],
                "installer": installer,
                "indexes": [{"name": "wheels", "preset": "directory", "url": str(wheels)}],
            },
            env=dict(os.environ, PATH=path, UV_CACHE_DIR=str(tmp_path / "cache")),
        )
        assert not answer["failed"], answer
        return answer, json.loads(Path(answer["path"], "release.json").read_text())

    return build


def shim(folder):
    """A program that is found by the name of a Python and fails, as pyenv has them."""
    folder.mkdir()
    (folder / "python3").write_text(
        "#!/bin/sh\necho 'pyenv: python3: command not found' >&2\nexit 127\n"
    )
    (folder / "python3").chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("installer", ["uv", pytest.param("pip", marks=pytest.mark.nightly)])
def test_the_python_of_the_path_is_the_python_of_the_release(tmp_path, build, installer):
    """The first python3 is a shim that fails, the second that of an environment, as that of an
    activated .venv."""
    python = (OTHERS or [{"path": BASE}])[0]["path"]
    subprocess.run([python, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    path = ":".join(
        [
            shim(tmp_path / "shims"),
            str(tmp_path / "venv/bin"),
            os.path.dirname(find_uv()),
            "/usr/bin:/bin",
        ]
    )
    answer, made = build("python3", path, installer)
    assert answer["built"] == ["tools", "release"] and made["executable"] == python
    again, _made = build("python3", path, installer)
    assert not again["changed"] and again["path"] == answer["path"], "the next run builds nothing"
    # and the path of a Python stands for the same release as its name
    assert not build(python, path, installer)[0]["changed"]
