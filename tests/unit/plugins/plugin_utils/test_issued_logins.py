# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of issued logins on the controller."""

from __future__ import annotations

import json
import os
import stat
import threading

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._issued_logins import (
    LOGIN,
    IssuedLogins,
)


@pytest.fixture(name="issued")
def a_list(tmp_path):
    return IssuedLogins(str(tmp_path))


def test_a_login_is_issued_once(issued):
    assert issued.logins() == []
    first, new = issued.issue("alice", "ops on ctl", False)
    assert new
    assert set(first) == {"login", "namespace", "password", "token"}
    assert (first["login"], first["namespace"]) == ("alice", "alice")
    assert len(first["token"]) == 40
    assert issued.issue("alice", "another", False) == (first, False)
    assert issued.logins() == [first]


def test_only_its_owner_reads_it(issued):
    issued.issue("alice", "ops on ctl", False)
    with open(issued.path, encoding="utf-8") as stream:
        assert json.load(stream)["logins"]["alice"]["issued_by"] == "ops on ctl"
    assert stat.S_IMODE(os.stat(issued.path).st_mode) == 0o600


def test_a_revoked_login_is_recorded_without_its_secrets(issued):
    alice, _new = issued.issue("alice", "ops on ctl", False)
    bob, _new = issued.issue("bob", "ops on ctl", False)
    assert issued.revoke("alice", "boss on ctl", False)
    assert issued.logins() == [bob]
    record = issued.revoked("alice")
    assert (record["login"], record["revoked_by"]) == ("alice", "boss on ctl")
    with open(issued.path, encoding="utf-8") as stream:
        text = stream.read()
    assert alice["password"] not in text
    assert alice["token"] not in text
    assert not issued.revoke("alice", "boss on ctl", False)
    # issued again, it has other secrets
    again, new = issued.issue("alice", "ops on ctl", False)
    assert new
    assert again["password"] != alice["password"]
    assert issued.revoked("alice") == record


def test_check_mode_writes_nothing(issued, tmp_path):
    assert issued.issue("alice", "ops on ctl", True)[1]
    assert list(tmp_path.iterdir()) == []
    issued.issue("alice", "ops on ctl", False)
    assert issued.revoke("alice", "ops on ctl", True)
    assert len(issued.logins()) == 1


def test_two_runs_lose_no_login(issued):
    names = ["login%d" % number for number in range(8)]
    threads = [threading.Thread(target=issued.issue, args=(name, "ops", False)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [item["login"] for item in issued.logins()] == names


@pytest.mark.parametrize("name", ["alice", "a", "b2_c-d"])
def test_names(name):
    assert LOGIN.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["", "Alice", "2a", "a.b", "a b", "a#", "ä", "a" * 33, "a/b", "a\n"]
)
def test_wrong_names(name):
    assert not LOGIN.fullmatch(name)
