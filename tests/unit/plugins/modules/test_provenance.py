# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps of where its secrets came from, as config_files records it. The playbooks' part
is in test_team.py."""

from __future__ import annotations

import json
import os
import stat

import pytest

from helpers.run_module import run_module


class Host:
    def __init__(self, folder):
        self.config = folder / "config/swf-one"
        self.record = self.config / "provenance/role.json"
        self.environment = dict(
            os.environ, HOME=str(folder), XDG_CONFIG_HOME=str(folder / "config")
        )
        self.clock = 0

    def place(self, who="alice", key="k", digests=None, check=False, known_good=True, **texts):
        self.clock += 1
        provenance = {
            "controller": "ctl",
            "login": who,
            "directory": "/home/" + who,
            "time": "time-%d" % self.clock,
            "collection": "0.1.0",
        }
        if digests is not None:
            provenance.update(key=key, secrets=digests)
        arguments = {
            "directories": [
                {"path": str(self.config)},
                {"path": str(self.config / "secrets"), "mode": "0700", "purge": True},
            ],
            "files": [
                {
                    "dest": str(self.config / "secrets" / name),
                    "secret": True,
                    "secret_content": text,
                }
                for name, text in texts.items()
            ],
            "manifest": {"instance": "swf-one", "scope": "user", "role": "role"},
            "provenance": provenance,
            "secret_names": list(digests or []),
        }
        if known_good:
            arguments["known_good"] = str(self.config / "secrets.known-good")
        answer = run_module("config_files", arguments, check=check, env=self.environment)
        assert not answer["failed"] or "was replaced" in answer["msg"], answer
        return answer

    def snapshot(self, state):
        return run_module(
            "known_good_files",
            {"snapshots": [str(self.config / "secrets.known-good")], "state": state},
        )

    def recorded(self):
        return json.loads(self.record.read_text())


@pytest.fixture(name="host")
def a_host(tmp_path):
    return Host(tmp_path)


def test_a_record_is_for_its_owner_alone_and_written_by_a_change_alone(host):
    assert (
        host.place(digests={"token": "1"}, token="a", check=True)["changed"]
        and not host.record.exists()
    )
    host.place(digests={"token": "1"}, token="a")
    assert (
        stat.S_IMODE(host.record.stat().st_mode),
        stat.S_IMODE(host.record.parent.stat().st_mode),
    ) == (0o600, 0o700)
    assert (
        host.recorded()["secrets"] == {"token": "1"}
        and host.recorded()["changed_by"]["time"] == "time-2"
    )
    before = host.record.stat().st_ino
    assert not host.place(who="bob", digests={"token": "1"}, token="a")["changed"]
    host.place(who="bob", digests={"token": "2"}, token="b", check=True)
    assert host.record.stat().st_ino == before and host.recorded()["changed_by"]["login"] == "alice"


def test_former_secrets_are_remembered_as_long_as_the_key_is_the_same(host):
    for number in range(1, 14):
        host.place(digests={"token": str(number)}, token=str(number))
    assert host.recorded()["former"] == {"token": [str(number) for number in range(12, 2, -1)]}
    host.place(digests={"token": "12"}, token="12")
    assert host.recorded()["former"]["token"][:2] == ["13", "11"]
    host.place(digests={"other": "x"}, other="x")
    assert host.recorded()["former"]["token"][0] == "12", "a removed one, too"
    host.place(key="other", digests={"token": "x"}, token="x")
    assert host.recorded()["former"] == {} and host.recorded()["key"] == "other"


def test_who_changed_something_else_is_noted_too(host):
    host.place(digests={"token": "1"}, token="a")
    host.place(who="bob", known_good=False, token="a", other="b")
    assert host.recorded()["changed_by"]["login"] == "bob" and host.recorded()["secrets"] == {
        "token": "1"
    }


def test_a_wrong_mode_alone_is_a_change(host):
    host.place(digests={"token": "1"}, token="a")
    os.chmod(host.config / "secrets/token", 0o644)
    host.place(who="bob", digests={"token": "1"}, token="a")
    assert host.recorded()["changed_by"]["login"] == "bob"


def test_it_is_restored_with_the_secrets_and_not_told_among_them(host):
    host.place(digests={"token": "1"}, token="a")
    host.snapshot("dropped")
    host.place(who="bob", key="other", digests={"token": "2"}, token="b")
    assert host.snapshot("restored")["paths"] == [str(host.config / "secrets/token")]
    assert host.recorded()["secrets"] == {"token": "1"} and host.recorded()["key"] == "k"
    assert not host.snapshot("restored")["changed"]


def test_a_first_record_goes_where_the_change_is_restored(host):
    host.place(token="a")
    host.snapshot("dropped")
    host.place(digests={"token": "2"}, token="b")
    assert host.record.exists()
    host.snapshot("restored")
    assert not host.record.exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"secrets": 1}'])
def test_a_record_that_is_none_is_said_before_anything_is_replaced(host, text):
    host.place(digests={"token": "1"}, token="a")
    host.record.write_text(text)
    answer = host.place(digests={"token": "2"}, token="b")
    assert answer["failed"] and "none was replaced" in answer["msg"] and "Fix: " in answer["msg"]
    assert (host.config / "secrets/token").read_text() == "a"


def test_a_record_that_others_can_read_is_not_used(host):
    host.place(digests={"token": "1"}, token="a")
    host.record.chmod(0o644)
    assert "that only its owner can access" in host.place(digests={"token": "2"}, token="b")["msg"]
