# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples can be copied anywhere, and the archive of the collection contains them."""

from __future__ import annotations

import fnmatch
import subprocess

import pytest
import yaml


def tracked(root, *folders):
    command = ["git", "ls-files", "--", *folders]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return listed.stdout.split()


def test_no_example_depends_on_its_place(root):
    for path in tracked(root, "examples"):
        text = (root / path).read_text()
        assert "inventory_dir" not in text and "playbook_dir" not in text, path


def listed(directives, path):
    """Whether directives of distlib, without exclusions, include a path."""
    for directive in directives:
        action, *words = directive.split()
        if action == "include" and any(fnmatch.fnmatch(path, word) for word in words):
            return True
        if action == "recursive-include":
            folder, patterns = words[0], words[1:]
            depth = folder.count("/") + 1
            above, name = "/".join(path.split("/")[:depth]), path.split("/")[-1]
            if fnmatch.fnmatch(above, folder) and any(
                fnmatch.fnmatch(name, pattern) for pattern in patterns
            ):
                return True
    return False


@pytest.fixture(name="directives", scope="module")
def list_of_files(root):
    return yaml.safe_load((root / "galaxy.yml").read_text())["manifest"]["directives"]


def test_the_archive_has_every_file_that_runs(root, directives):
    wanted = [
        *tracked(root, "examples", "meta", "playbooks", "plugins", "roles", "stacks"),
        *(path for path in tracked(root, "packages") if "/tests/" not in path),
    ]
    assert len(wanted) > 500
    assert [path for path in wanted if not listed(directives, path)] == []


@pytest.mark.parametrize(
    "path",
    [
        "inventory/group_vars/all/vault.yml",
        "lab/hosts.yml",
        "examples/mine/hosts.yml",
        "packages/swf-monitor/tests/test_x.py",
        ".ansible/x.py",
        "tests/helpers/ports.py",
        "secrets.yml",
    ],
)
def test_the_archive_has_no_other_file(directives, path):
    assert not listed(directives, path)
