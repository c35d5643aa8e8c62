# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that name a variable, in the actions that have them, by ansible-playbook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[4]
TOKEN = "canary0123456789"
INDEX = {
    "name": "lab",
    "preset": "pypiserver",
    "url": "https://index.example.org/simple/",
    "username": "me",
    "token": "{{ token }}",
}


@pytest.fixture(name="task")
def one_task(tmp_path):
    """Runs a task; returns what was printed at -vvv, and whether it succeeded."""

    def run(module, arguments, **variables):
        (tmp_path / "play.yml").write_text(
            yaml.safe_dump(
                [
                    {
                        "hosts": "localhost",
                        "gather_facts": False,
                        "vars": dict({"token": TOKEN, "some_indexes": [INDEX]}, **variables),
                        "tasks": [{"bnlnpps.swf_testbed." + module: arguments}],
                    }
                ]
            )
        )
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-vvv",
                "-i",
                "localhost,",
                "-c",
                "local",
                "-e",
                "ansible_python_interpreter=" + sys.executable,
                "play.yml",
            ],
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            env=dict(
                os.environ,
                ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".ansible/collections"),
                ANSIBLE_HOME=str(tmp_path / "ansible"),
            ),
        )
        return done.stdout, done.returncode == 0

    return run


def test_the_value_is_that_of_the_variable(task, tmp_path):
    output, succeeded = task(
        "pypirc", {"path": str(tmp_path / "pypirc"), "indexes_of": "some_indexes"}
    )
    assert succeeded and TOKEN in (tmp_path / "pypirc").read_text() and TOKEN not in output, output


def test_lists_are_joined_in_their_order(task, tmp_path):
    one, two = (
        [{"dest": str(tmp_path / name), "content": "{{ token }}", "secret": True}]
        for name in ("one", "two")
    )
    output, succeeded = task(
        "config_files", {"files_of": ["first", "second"]}, first=one, second=two
    )
    assert (
        succeeded and (tmp_path / "one").read_text() == (tmp_path / "two").read_text() == TOKEN
    ), output
    assert output.index(str(tmp_path / "one")) < output.index(str(tmp_path / "two"))


@pytest.mark.parametrize(
    "module,arguments,variables,message",
    [
        (
            "pypirc",
            {"path": "/none/x", "indexes_of": "no_indexes"},
            {},
            "indexes_of names the variable no_indexes, which is not defined",
        ),
        (
            "pypirc",
            {"path": "/none/x", "indexes_of": "some_indexes", "indexes": []},
            {},
            "indexes and indexes_of exclude each other",
        ),
        (
            "pypirc",
            {"path": "/none/x"},
            {},
            "one of the following is required: indexes, indexes_of",
        ),
        # without quotes: what is meant is a text
        (
            "pypirc",
            {"path": "/none/x", "indexes_of": "some_indexes"},
            {"token": 83},
            "the token of lab in indexes must be text",
        ),
        (
            "pypirc",
            {"path": "/none/x", "indexes": [dict(INDEX, token=100000.0)]},
            {},
            "the token of lab in indexes must be text",
        ),
        (
            "pip_config",
            {"record": "/none/x", "owner": "x", "indexes_of": "some_indexes"},
            {"token": True},
            "must be text",
        ),
        (
            "pip_index_info",
            {"indexes_of": "some_indexes", "packages": []},
            {"token": 83},
            "must be text",
        ),
        (
            "package_publish",
            {"indexes_of": "some_indexes", "sources": ["x"]},
            {"token": 83},
            "must be text",
        ),
        (
            "package_check",
            {"sources": ["x"], "repositories_of": "repos"},
            {"repos": [{"url": "https://example.org/x", "token": 83}]},
            "must be text",
        ),
        (
            "release_build",
            {
                "root": "/none",
                "version": "1",
                "lock_file": "/none",
                "tools_lock_file": "/none",
                "git_token_of": "token",
            },
            {"token": 83},
            "git_token must be text",
        ),
        (
            "wheelhouse",
            {
                "dest": "/none/x",
                "pythons": ["3.11"],
                "lock_file": "/none",
                "tools_lock_file": "/none",
                "indexes_of": "some_indexes",
            },
            {"token": 83},
            "must be text",
        ),
        (
            "config_files",
            {"files_of": ["placed"]},
            {
                "placed": [{"dest": "/none/x", "content": "{{ token }}", "secret": True}],
                "token": 83,
            },
            "the content of /none/x must be text",
        ),
        (
            "database_role",
            {"name": "x", "password_of": "token"},
            {"token": 83},
            "password must be text",
        ),
    ],
)
def test_refusals(task, module, arguments, variables, message):
    output, succeeded = task(module, arguments, **variables)
    assert not succeeded and message in output, output
    assert "Fix: " in output or "required" in output
