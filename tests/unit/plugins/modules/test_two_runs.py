# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs of one login whose calls come to a host at the same moment: each is successful, and
nothing of either is lost."""

from __future__ import annotations

import concurrent.futures
import fcntl
import json
import os
import stat

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import turn
from helpers.run_module import run_module

ROUNDS = 4


def at_once(*calls):
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        answers = [future.result() for future in [pool.submit(call) for call in calls]]
    assert not any(answer["failed"] for answer in answers), answers
    return answers


@pytest.fixture(name="home")
def a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_same_secrets_are_placed_by_two_runs(home):
    """Each has a directory purged while the other one writes there, and keeps what was there
    before."""
    secrets, snapshot = home / "secrets", home / "secrets.known-good"

    def place(text):
        return lambda: run_module(
            "config_files",
            {
                "directories": [{"path": str(secrets), "mode": "0700", "purge": True}],
                "files": [
                    {"dest": str(secrets / str(number)), "secret": True, "secret_content": text}
                    for number in range(30)
                ],
                "known_good": str(snapshot),
            },
        )

    def drop():
        return run_module("known_good_files", {"snapshots": [str(snapshot)], "state": "dropped"})

    for number in range(ROUNDS):
        answers = at_once(*[place("secret-%d" % number)] * 3)
        assert sorted(answer["changed"] for answer in answers) == [False, False, True]
        assert {path.read_text() for path in secrets.iterdir()} == {"secret-%d" % number}
        assert len(list(secrets.iterdir())) == 30
        assert sum(answer["changed"] for answer in at_once(drop, drop, drop)) == 1
        assert not list(home.glob("secrets.known-good*"))
    assert not list(home.rglob("*.lock"))


def test_the_manifest_lists_what_both_have_created(home):
    def place(name):
        # each run creates directories of its own: one that is there already is not listed by who
        # finds it
        return lambda: run_module(
            "config_files",
            {
                "manifest": {"instance": "swf-two", "scope": "user", "role": name},
                "directories": [{"path": str(home / "made" / name), "mode": "0700"}],
            },
        )

    names = ["part-%d" % number for number in range(ROUNDS * 2)]
    at_once(*map(place, names))
    manifest = json.loads((home / ".config/swf-two/manifest.json").read_text())
    listed = {entry.get("path") for entry in manifest["entries"]}
    assert {str(home / "made" / name) for name in names} <= listed


def test_who_does_not_get_the_turn_says_which_process_has_it(home):
    folder = turn.folder_of_login()
    with turn.turn("test"):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        with (
            pytest.raises(OSError, match="process %d .*has held the lock" % os.getpid()),
            turn.turn("test", patience=0.3),
        ):
            pass
    assert not os.path.exists(os.path.join(folder, "test@%s.lock" % os.uname().nodename))


def test_the_lock_of_a_run_that_was_killed_is_free(home):
    folder = turn.folder_of_login()
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, "test@%s.lock" % os.uname().nodename)
    with open(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
    with turn.turn("test", patience=1):
        assert os.path.exists(path)
    assert not os.path.exists(path)
