# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the login's environment gets to the programs that build. The programs are the real
ones."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.clean_environment import (
    clean_environment,
    environment_for_git,
)

NEEDED = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "LC_TIME": "C",
    "TMPDIR": "/scratch",
    "no_proxy": "lab.example.org",
    "HTTPS_PROXY": "http://proxy:3128",
    "SSL_CERT_DIR": "/etc/lab",
    "UV_CACHE_DIR": "/scratch/uv",
}
# the last are relatives that no issue names
HARMFUL = {
    "PYTHONPATH": "/cvmfs/x",
    "LD_LIBRARY_PATH": "/cvmfs/lib",
    "PIP_TARGET": "/tmp/x",
    "PIP_PREFIX": "/tmp/x",
    "UV_EXCLUDE_NEWER": "2001-01-01",
    "UV_INDEX": "http://other",
    "PIP_FIND_LINKS": "/tmp",
    "PIP_NO_BINARY": ":all:",
    "TWINE_REPOSITORY_URL": "http://other",
    "CFLAGS": "-march=native",
    "SETUPTOOLS_USE_DISTUTILS": "stdlib",
    "PYTHONSTARTUP": "/x",
    "UV_RESOLUTION": "lowest",
    "VIRTUAL_ENV": "/x",
    "GIT_DIR": "/x",
    "UV_PROJECT_ENVIRONMENT": "/x",
    "SETUPTOOLS_SCM_PRETEND_VERSION": "9",
    "DIST_EXTRA_CONFIG": "/x",
    "HATCH_BUILD_HOOKS_ENABLE": "1",
    "NOT_LC_ALL": "x",
    "PYTHONHOME": "/x",
    "LD_PRELOAD": "/x.so",
    "PIP_CONFIG_FILE": "/x",
    "UV_CONFIG_FILE": "/x",
    "CONDA_PREFIX": "/x",
}


@pytest.fixture(name="login", autouse=True)
def login_with_settings(monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {**NEEDED, **HARMFUL}.items():
        monkeypatch.setenv(name, value)


def test_the_list_is_admitted_and_nothing_else():
    found = clean_environment(UV_DEFAULT_INDEX="http://index", NO_COLOR=None)
    assert {
        name: value for name, value in NEEDED.items() if name != "no_proxy"
    }.items() <= found.items()
    assert found["no_proxy"] == found["NO_PROXY"] == "lab.example.org,localhost,127.0.0.1,::1"
    assert not set(HARMFUL.items()) & set(found.items())
    assert found["UV_DEFAULT_INDEX"] == "http://index" and "NO_COLOR" not in found


def test_git_keeps_its_ssh_and_no_other_repository(monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    found = environment_for_git()
    assert found["SSH_AUTH_SOCK"] == "/run/agent" and not set(HARMFUL) & set(found)


def test_pip_reads_no_file_of_the_login(tmp_path, monkeypatch):
    for name in (".config/pip/pip.conf", ".pip/pip.conf"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(
            "[install]\nuser = true\nprefix = /tmp/x\n[global]\nextra-index-url = http://other\n"
        )
    monkeypatch.setenv("HOME", str(tmp_path))
    shown = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env=clean_environment(),
        text=True,
        capture_output=True,
        check=True,
    ).stdout
    assert (
        "config-file" in shown
        and "prefix" not in shown
        and "other" not in shown
        and "target" not in shown
    ), shown
