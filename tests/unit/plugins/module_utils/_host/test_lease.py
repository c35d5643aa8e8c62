# SPDX-License-Identifier: GPL-3.0-or-later
"""The lease of a host, as two controllers take it. tests/unit/playbooks/test_team.py has runs that
hold it."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import lease as host_lease


def lease(who, run="1", broken=False):
    return {
        "controller": who,
        "login": who,
        "directory": "/" + who,
        "owner": who,
        "run": who + run,
        "started": 1.0,
        "instance": "swf-testbed",
        "scope": "user",
        "break": broken,
    }


@pytest.fixture(name="path", autouse=True)
def state_of_a_login(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Path(host_lease.path_of(lease("alice")))


def age(path, seconds):
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_another_controller_is_refused_and_told_who_holds_it(path):
    host_lease.take(lease("alice"))
    assert (
        stat.S_IMODE(path.stat().st_mode) == 0o600
        and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    )
    with pytest.raises(
        host_lease.LeaseHeld, match="alice on alice .*/alice.* run alice1.* Fix: .*break_lock=true"
    ) as caught:
        host_lease.take(lease("bob"))
    assert caught.value.holder["owner"] == "alice"
    assert json.loads(path.read_text())["owner"] == "alice"


def test_the_same_controller_takes_it_over_at_once(path):
    host_lease.take(lease("alice", "1"))
    host_lease.take(lease("alice", "2"))
    assert json.loads(path.read_text())["run"] == "alice2"
    # the run that lost it releases nothing
    assert not host_lease.release_lease(lease("alice", "1")) and path.exists()


def test_each_call_renews_it_and_others_wait_ten_minutes_after_the_last_one(path):
    host_lease.take(lease("alice"))
    age(path, host_lease.SECONDS - 5)
    with pytest.raises(host_lease.LeaseHeld):
        host_lease.take(lease("bob"))
    host_lease.take(lease("alice"))
    assert time.time() - path.stat().st_mtime < 60
    age(path, host_lease.SECONDS + 1)
    host_lease.take(lease("bob"))
    assert json.loads(path.read_text())["owner"] == "bob"
    # the former one finds out with its next call
    with pytest.raises(host_lease.LeaseHeld, match="bob on bob"):
        host_lease.take(lease("alice"))
    # even when that run is over; her next run may go on
    assert host_lease.release_lease(lease("bob"))
    with pytest.raises(host_lease.LeaseHeld, match="has taken over this host.* bob on bob"):
        host_lease.take(lease("alice"))
    host_lease.take(lease("alice", "2"))
    age(Path(str(path) + host_lease.LOST), host_lease.SECONDS + 1)
    assert host_lease.release_lease(lease("alice", "2")) and not path.parent.exists()


def test_it_can_be_broken(path):
    host_lease.take(lease("alice"))
    host_lease.take(lease("bob", broken=True))
    assert json.loads(path.read_text())["owner"] == "bob"


def test_a_clock_that_was_set_back_makes_no_lease_for_ever(path):
    host_lease.take(lease("alice"))
    age(path, -3600)
    host_lease.take(lease("bob"))


@pytest.mark.parametrize("text", ["", "{", "null"])
def test_what_a_loss_of_power_leaves_is_no_lease(path, text):
    host_lease.take(lease("alice"))
    path.write_text(text)
    host_lease.take(lease("bob"))


def test_nothing_is_left_when_it_is_released(path):
    host_lease.take(lease("alice"))
    assert host_lease.release_lease(lease("alice")) and not path.parent.exists()
    assert not host_lease.release_lease(lease("alice"))
    # that of another instance stays
    host_lease.take(lease("alice"))
    host_lease.take(dict(lease("alice"), instance="other"))
    assert host_lease.release_lease(lease("alice"))
    assert [item.name.partition("@")[0] for item in path.parent.glob("*.lease")] == ["other"]


def test_programs_that_a_module_starts_do_not_inherit_it(monkeypatch):
    monkeypatch.setenv(host_lease.ENVIRONMENT, host_lease.MARK + json.dumps(lease("alice")))
    assert (
        host_lease.read_from_environment()["owner"] == "alice"
        and host_lease.ENVIRONMENT not in os.environ
    )
    assert host_lease.read_from_environment() is None


def test_it_is_renewed_while_a_call_lasts(path, monkeypatch):
    monkeypatch.setattr(host_lease, "RENEWED_AFTER", 0.05)
    host_lease.take(lease("alice"))
    age(path, 500)
    host_lease.renew_in_background(lease("alice"))
    deadline = time.monotonic() + 10
    while time.time() - path.stat().st_mtime > 100 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert time.time() - path.stat().st_mtime < 100
    # not that of another controller, which took it
    host_lease.take(lease("bob", broken=True))
    age(path, 500)
    time.sleep(0.3)
    assert time.time() - path.stat().st_mtime > 400


class Refused(Exception):
    pass


class SimulatedModule:
    check_mode = False

    def __init__(self):
        self.warnings = []
        self.warn = self.warnings.append

    @staticmethod
    def fail_json(**result):
        raise Refused(result["msg"])


@pytest.mark.parametrize(
    "number, text",
    [(errno.ENOSPC, ""), (errno.EROFS, ""), (errno.EACCES, "Fix: let this login write there")],
)
def test_a_simulated_full_disk_keeps_nobody_out(monkeypatch, number, text):
    def write(path, _content):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(host_lease, "write", write)
    monkeypatch.setenv(host_lease.ENVIRONMENT, host_lease.MARK + json.dumps(lease("alice")))
    module = SimulatedModule()
    if text:
        with pytest.raises(Refused, match=text):
            host_lease.hold(module)
    else:
        host_lease.hold(module)
    assert len(module.warnings) == (not text)
