# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python a name stands for: what runs says so, with its real path."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.python import (
    choose_python,
    find_python,
    python_problem,
    resolved,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    made_with,
)

VERSION = "%d.%d.%d" % sys.version_info[:3]
BASE = os.path.realpath(sys._base_executable)


@pytest.fixture(name="put")
def programs_on_the_path(tmp_path, monkeypatch):
    """put(folder, name, text): a program in a folder of PATH, the folders in the order of their
    first program."""
    monkeypatch.setenv("PATH", "")

    def put(folder, name, text):
        if not (tmp_path / folder).exists():
            (tmp_path / folder).mkdir()
            monkeypatch.setenv(
                "PATH", ":".join(filter(None, [os.environ["PATH"], str(tmp_path / folder)]))
            )
        (tmp_path / folder / name).write_text("#!/bin/sh\n" + text)
        (tmp_path / folder / name).chmod(0o755)
        return str(tmp_path / folder / name)

    return put


SHIM = "echo 'pyenv: python3.12: command not found' >&2; exit 127\n"


def test_a_shim_that_is_found_and_fails_is_passed_over(put):
    put("shims", "python3.12", SHIM)
    assert find_python("python3.12") is None
    put("bin", "python3.12", 'exec %s "$@"\n' % sys.executable)
    assert find_python("python3.12")["path"] == BASE


@pytest.mark.parametrize("text", ["echo hello\n", "exit 0\n", "kill -9 $$\n"])
def test_what_is_no_python_is_none(put, text):
    put("bin", "python3", text)
    assert find_python("python3") is None and resolved("python3") == "python3"


@pytest.mark.parametrize("option", ["--symlinks", "--copies"])
def test_the_python_of_an_environment_is_the_one_that_it_was_made_with(tmp_path, option):
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", option, str(tmp_path / "venv")], check=True
    )
    found = find_python(str(tmp_path / "venv/bin/python"))
    assert found == {"path": BASE, "version": VERSION, "venv": True}
    assert made_with(
        {"python": VERSION, "executable": BASE}, resolved(str(tmp_path / "venv/bin/python"))
    )


def test_what_a_login_sets_for_its_python_does_not_count(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "json.py").write_text("raise SystemExit('wrong json')")
    assert find_python(sys.executable)["path"] == BASE


@pytest.mark.parametrize(
    "distribution, expected",
    [
        (
            "rocky rhel centos fedora",
            "sudo dnf install python3.12; in system scope, swf_testbed_python_packages",
        ),
        ("debian", "uv python install 3.12"),
        ("", "uv python install 3.12"),
    ],
)
def test_a_host_that_has_only_3_9_is_told_what_to_install(put, distribution, expected):
    put("bin", "python3.12", SHIM)
    found = {"path": "/usr/bin/python3.9", "version": "3.9.18", "venv": True}
    problem = python_problem("python3", "3.10", found, distribution)
    assert (
        expected in problem["fix"] and "/usr/bin/python3.9 is Python 3.9.18" in problem["evidence"]
    )


def fake(version):
    """A Python that says it is another version."""
    path = "/usr/bin/python" + version.rpartition(".")[0]
    return 'echo \'{"path": "%s", "version": "%s", "venv": true}\'\n' % (path, version)


def test_another_python_is_chosen_where_the_default_is_too_old(put):
    put("bin", "python3", fake("3.9.18"))
    assert choose_python("python3", "3.10")["version"] == "3.9.18"
    put("bin", "python3.12", fake("3.12.9"))
    assert choose_python("python3", "3.10")["path"] == "/usr/bin/python3.12"
    # the oldest that is new enough: one that is installed later changes nothing
    put("bin", "python3.13", fake("3.13.1"))
    assert choose_python("python3", "3.10")["path"] == "/usr/bin/python3.12"
    assert choose_python("python3", "3.13")["path"] == "/usr/bin/python3.13"
    # a name that the inventory sets, and a default that is new enough
    put("bin", "python3.9", fake("3.9.18"))
    assert choose_python("python3.9", "3.10")["version"] == "3.9.18"
    assert choose_python("python3", "3.9")["version"] == "3.9.18"


def test_a_newer_one_that_is_there_already_is_named(put):
    put("bin", "python3.11", 'exec %s "$@"\n' % sys.executable)
    problem = python_problem(
        "python3", "3.10", {"path": "/usr/bin/python3.9", "version": "3.9.18", "venv": True}, "rhel"
    )
    assert problem["fix"] == "Set swf_testbed_python to %s, which is Python %s" % (BASE, VERSION)
