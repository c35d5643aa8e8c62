# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that all hosts share are changed on all of them, or on none: what fails on one host is
restored everywhere."""

from __future__ import annotations

import secrets

import pytest
from placed_secrets import changed, hosts, in_place

# tests/unit/playbooks/test_settle.py has the same on two instances of this machine
pytestmark = pytest.mark.nightly

# of one host of agents alone: whatever the secrets are, its gate fails
BROKEN = "all: {hosts: {agents-2: {swf_testbed_extra_components: [{name: broken, command: /bin/false}]}}}\n"


def snapshots(lab):
    return [
        line
        for name in hosts(lab)
        for line in lab.host(name).run("find /etc -maxdepth 5 -name '*.known-good*'").stdout.split()
    ]


def hand_out(lab, texts):
    """Have the controller give the hosts these secrets from the next run on; those that it had."""
    former = {name: (lab.secrets / name).read_text() for name in texts}
    for name, text in texts.items():
        (lab.secrets / name).write_text(text)
    return former


def others():
    return {
        name: secrets.token_hex(20)
        for name in ("broker_password", "database_password", "api_token")
    }


def test_new_secrets_that_fail_on_one_host_are_restored_on_all(lab, goes_on, tmp_path):
    before, new = in_place(lab), others()
    (tmp_path / "broken.yml").write_text(BROKEN)
    former = hand_out(lab, new)
    try:
        done = lab.play("site.yml", "-i", str(tmp_path / "broken.yml"))
    finally:
        hand_out(lab, former)
    text = " ".join(done.stdout.split())
    assert done.returncode != 0, done.stdout
    expected = [
        "broken is",
        "The secrets that this run changed were restored: api_token, broker_password, "
        "database_password, users.properties, the password of the database role.",
        "were restarted with the former secrets, and run, on %s." % ", ".join(sorted(hosts(lab))),
        "Fix: remove the cause",
    ]
    assert not [words for words in expected if words not in text], done.stdout
    assert not [value for value in new.values() if value in done.stdout]
    assert in_place(lab) == before and snapshots(lab) == []
    goes_on()


def test_a_run_with_the_former_secrets_changes_nothing_then(lab, goes_on):
    done = lab.play("site.yml")
    assert done.returncode == 0 and set(changed(done.stdout).values()) == {(0, 0)}, done.stdout
    goes_on()


def test_new_secrets_that_pass_are_kept_and_those_before_are_gone(lab, goes_on):
    """The other tests go on with them."""
    before = in_place(lab)
    hand_out(lab, others())
    done = lab.play("site.yml")
    assert done.returncode == 0, done.stdout
    after = in_place(lab)
    assert not [name for name in after if after[name] == before[name]] and snapshots(lab) == []
    goes_on()
    again = lab.play("site.yml")
    assert again.returncode == 0 and set(changed(again.stdout).values()) == {(0, 0)}, again.stdout
