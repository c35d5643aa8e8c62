# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that a change replaced: saved by config_files until they are restored, or known good and
dropped."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import known_good
from helpers.run_module import run_module


class Host:
    def __init__(self, folder):
        self.secrets, self.snapshot = folder / "secrets", folder / "secrets.known-good"

    def place(self, check=False, **secrets):
        answer = run_module(
            "config_files",
            {
                "directories": [{"path": str(self.secrets), "mode": "0700", "purge": True}],
                "files": [
                    {
                        "dest": str(self.secrets / name),
                        "secret": True,
                        "secret_content": text,
                        "mode": "0640",
                    }
                    for name, text in secrets.items()
                ],
                "known_good": str(self.snapshot),
            },
            check=check,
            diff=True,
        )
        assert not any(text in str(answer) for text in secrets.values())
        return answer

    def run(self, state, check=False):
        return run_module(
            "known_good_files", {"snapshots": [str(self.snapshot)], "state": state}, check=check
        )

    def there(self):
        return {path.name: path.read_text() for path in self.secrets.iterdir()}


@pytest.fixture(name="host")
def a_host_with_known_good_secrets(tmp_path):
    host = Host(tmp_path)
    answer = host.place(password="former-1", token="former-2")
    assert (answer["known_good"], answer["restorable"]) == (str(host.snapshot), False)
    assert host.run("dropped")["changed"] and not host.snapshot.exists()
    assert "known_good" not in host.place(password="former-1", token="former-2")
    return host


def test_a_change_is_restored_and_the_snapshot_stays_until_it_is_dropped(host):
    predicted = host.place(check=True, password="new-1", extra="new-3")
    assert predicted["known_good"] == str(host.snapshot) and not host.snapshot.exists()
    answer = host.place(password="new-1", extra="new-3")
    assert answer["restorable"] and host.there() == {"password": "new-1", "extra": "new-3"}
    assert stat.S_IMODE(host.snapshot.stat().st_mode) == 0o700
    paths = [str(host.secrets / name) for name in ("extra", "password", "token")]
    assert host.run("restored", check=True)["paths"] == paths and "new-3" in host.there().values()
    assert host.run("restored")["paths"] == paths
    assert host.there() == {"password": "former-1", "token": "former-2"}
    assert stat.S_IMODE((host.secrets / "password").stat().st_mode) == 0o640
    assert not host.run("restored")["changed"] and host.snapshot.exists()
    assert host.run("dropped", check=True)["changed"] and host.snapshot.exists()
    assert host.run("dropped")["changed"] and not host.run("dropped")["changed"]


def test_a_second_change_that_is_not_known_good_either_does_not_replace_the_snapshot(host):
    """The first one was interrupted; the second one has a file that neither the first nor the
    former ones had."""
    host.place(password="new-1", token="new-2")
    answer = host.place(password="newer-1", certificate="newer-4")
    assert answer["restorable"]
    host.run("restored")
    assert host.there() == {"password": "former-1", "token": "former-2"}


def test_an_unchanged_file_makes_no_snapshot_and_one_that_is_there_is_told_of(host):
    host.place(password="new-1", token="former-2")
    answer = host.place(password="new-1", token="former-2")
    assert not answer["changed"] and answer["known_good"] == str(host.snapshot)


def test_of_a_first_installation_nothing_is_restored(tmp_path):
    host = Host(tmp_path)
    host.place(password="first")
    assert not host.place(password="second")["restorable"]
    assert not host.run("restored")["changed"] and host.there() == {"password": "second"}


@pytest.mark.parametrize("half", ["files.json", ""])
def test_half_a_snapshot_is_none(host, half):
    """What is left of a host that lost its power while the snapshot was made."""
    scratch = host.snapshot.with_name(host.snapshot.name + ".new")
    scratch.mkdir()
    (scratch / (half or "0")).write_text("half of it")
    assert not host.run("restored")["changed"]
    host.place(password="new-1", token="former-2")
    host.run("restored")
    assert host.there() == {"password": "former-1", "token": "former-2"} and not scratch.exists()


def test_without_a_place_for_the_snapshot_nothing_is_replaced(host):
    host.snapshot.with_name("secrets.known-good.new").write_text("in the way")
    answer = host.place(password="new-1", token="former-2")
    assert answer["failed"] and "and none was" in answer["msg"], answer
    assert host.there() == {"password": "former-1", "token": "former-2"}


def test_what_is_restored_is_newer_so_that_programs_are_restarted(host):
    host.place(password="new-1", token="former-2")
    os.utime(host.secrets / "password", (1, 1))
    os.utime(host.secrets / "token", (1, 1))
    known_good.restore(str(host.snapshot))
    assert (host.secrets / "password").stat().st_mtime > 1 and (
        host.secrets / "token"
    ).stat().st_mtime == 1
