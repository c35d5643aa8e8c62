# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks and wheels from git on the controller: those that were used last stay, and nothing of
anybody else goes."""

from __future__ import annotations

import os

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.lock_file import HEADING
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._last_used import (
    keep_locks,
    keep_wheels,
)


@pytest.fixture(name="locks")
def a_folder_of_locks(tmp_path):
    folder = tmp_path / "locks"
    folder.mkdir()
    for number in range(10):
        made = folder / ("swf-testbed-0.%d.txt" % number)
        made.write_text(HEADING + "swf-testbed\n")
        os.utime(made, (1_700_000_000 + number,) * 2)
    return folder


def numbers(folder):
    return sorted(int(path.stem.rpartition(".")[2]) for path in folder.glob("swf-testbed-*.txt"))


def test_locks_that_were_used_last_stay(locks):
    keep_locks(str(locks / "swf-testbed-0.3.txt"), str(locks), 4)
    assert numbers(locks) == [3, 7, 8, 9]
    keep_locks(str(locks / "swf-testbed-0.8.txt"), str(locks), 2)
    assert numbers(locks) == [3, 8]
    # at least the one that is in use
    keep_locks(str(locks / "swf-testbed-0.3.txt"), str(locks), 1)
    assert numbers(locks) == [3]


def test_what_we_did_not_make_stays(locks):
    (locks / "mine.txt").write_text("a==1\n")
    (locks / "notes").write_text("x")
    keep_locks(str(locks / "swf-testbed-0.3.txt"), str(locks), 1)
    assert sorted(path.name for path in locks.iterdir()) == [
        "mine.txt",
        "notes",
        "swf-testbed-0.3.txt",
    ]


def test_locks_in_a_folder_of_ones_own_stay(locks, tmp_path):
    keep_locks(str(locks / "swf-testbed-0.3.txt"), str(tmp_path / "controller/locks"), 1)
    assert numbers(locks) == list(range(10))


def test_wheels_from_git(tmp_path):
    for number in range(6):
        folder = tmp_path / ("git-%012x" % number)
        folder.mkdir()
        (folder / "x-1-py3-none-any.whl").write_text("x")
        os.utime(folder, (1_700_000_000 + number,) * 2)
    (tmp_path / "git-mine").mkdir()
    keep_wheels(str(tmp_path / ("git-%012x" % 0)), 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "git-000000000000",
        "git-000000000004",
        "git-000000000005",
        "git-mine",
    ]
