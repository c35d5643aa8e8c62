# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of the monitor: hashes for the host, and generated passwords for the controller."""

from __future__ import annotations

import base64
import hashlib
import os
import stat

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.bnlnpps.swf_testbed.plugins.lookup import monitor_users
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._held_secrets import HeldSecrets
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._provenance_check import (
    digests,
    refusal,
    stamp,
)

GIVEN = {"name": "bob", "password": "correct horse battery"}


def accounts(folder, *users, key="a key", **variables):
    loader = DataLoader()
    lookup = monitor_users.LookupModule(loader=loader)
    # Ansible's loader, which reads the options, does not find what Python has imported
    lookup.set_options = lambda **_options: None
    lookup.get_option = {"key": key, "directory": str(folder / "secrets")}.__getitem__
    return lookup.run([list(users)], variables)[0]


def fits(password, hashed):
    algorithm, iterations, salt, digest = hashed.split("$")
    found = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), int(iterations))
    return algorithm == "pbkdf2_sha256" and base64.b64encode(found).decode() == digest


def test_a_missing_password_is_generated_once_and_the_run_names_its_file(tmp_path, capsys):
    first = accounts(tmp_path, {"name": "alice"}, GIVEN)
    path = tmp_path / "secrets/monitor_user_alice"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(tmp_path / "secrets") == ["monitor_user_alice"]
    assert [item["name"] for item in first] == ["alice", "bob"]
    assert fits(path.read_text().strip(), first[0]["hash"])
    assert fits(GIVEN["password"], first[1]["hash"])
    output = capsys.readouterr().out
    assert "The password of alice for the monitor was generated" in output
    assert "monitor_user_alice" in output
    assert path.read_text().strip() not in output
    # a second run writes the same file, and says nothing
    assert accounts(tmp_path, {"name": "alice", "password": None}, GIVEN) == first
    assert capsys.readouterr().out == ""
    # one hash tells nothing about another
    assert accounts(tmp_path, GIVEN, key="another key") != [first[1]]


def test_check_mode_generates_nothing(tmp_path):
    assert accounts(tmp_path, {"name": "alice"}, ansible_check_mode=True)
    assert not (tmp_path / "secrets").exists()


def test_a_password_that_is_not_text_is_refused(tmp_path):
    with pytest.raises(AnsibleError, match="the password of alice") as refused:
        accounts(tmp_path, {"name": "alice", "password": 481516234200})
    assert "481516234200" not in str(refused.value)


def held(folder, *users):
    variables = {
        "swf_testbed_controller_dir": str(folder),
        "swf_testbed_monitor_users": list(users),
        "swf_testbed_digest_key": "of the team",
    }
    return HeldSecrets(variables, Templar(loader=DataLoader(), variables=variables))


def test_a_controller_does_not_generate_another_password(tmp_path):
    """Those of a team have the same key, and the list; the generated passwords have to be copied."""
    first, second = tmp_path / "first", tmp_path / "second"
    accounts(first, {"name": "alice"})
    mine = held(first, {"name": "alice"}, GIVEN)
    recorded = digests("of the team", ["monitor_users"], mine)
    assert set(recorded) == {"monitor-user-alice", "monitor-user-bob"}
    record = {
        "key": "of the team",
        "secrets": recorded,
        "former": {},
        "changed_by": stamp(str(first)),
    }
    assert refusal([record], mine, "lab") is None
    text = refusal([record], held(second, {"name": "alice"}, GIVEN), "lab")
    assert "the password of alice in swf_testbed_monitor_users is missing" in text
    assert (
        "Fix: copy the files secrets/monitor_user_* of that directory to %s/secrets" % second
        in text
    )
    assert "bob" not in text
    # the controller itself generates a new one after the file was deleted
    (first / "secrets/monitor_user_alice").unlink()
    assert refusal([record], mine, "lab") is None
    # an account may be removed, and a password of the inventory may be changed
    assert refusal([record], held(second, dict(GIVEN, password="another password")), "lab") is None
