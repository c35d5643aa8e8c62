# SPDX-License-Identifier: GPL-3.0-or-later
"""artemis_users. That Artemis accepts the hashes is a test of the scenario lab, whose agents log
in with them."""

from __future__ import annotations

import hashlib
import re

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.filter.artemis_users import artemis_users

PASSWORD = "ENC(canary ü=:#"


def test_each_line_has_a_hash_that_the_password_fits():
    text = artemis_users(
        [{"name": "swf", "password": PASSWORD}, {"name": "a.b_c@d-e", "password": "x"}], "key"
    )
    assert PASSWORD not in text
    name, rounds, salt, digest = re.fullmatch(
        r"(.*)=ENC\((\d+):([0-9a-f]{32}):([0-9a-f]{40})\)", text.splitlines()[0]
    ).groups()
    made = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), bytes.fromhex(salt), int(rounds), 20)
    assert name == "swf" and made.hex() == digest
    assert text.splitlines()[1].startswith("a.b_c@d-e=ENC(")


def test_the_same_input_gives_the_same_text_and_another_key_another_salt():
    users = [{"name": "swf", "password": PASSWORD}]
    assert artemis_users(users, "key") == artemis_users(users, "key")
    assert artemis_users(users, "key") != artemis_users(users, "other key")
    two = artemis_users([{"name": name, "password": "same"} for name in ("a", "b")], "key")
    assert len({line.split("=")[1] for line in two.splitlines()}) == 2


@pytest.mark.parametrize(
    "users, key, expected",
    [
        ([{"name": "a=b", "password": "x"}], "key", "not a valid user name"),
        ([{"name": "", "password": "x"}], "key", "not a valid user name"),
        ([{"password": "x"}], "key", "not a valid user name"),
        ([{"name": "swf", "password": ["canary"]}], "key", "the password of swf"),
        ([{"name": "swf", "password": "x"}], "", "the key must be a text"),
    ],
)
def test_bad_input_is_refused_without_the_password(users, key, expected):
    with pytest.raises(AnsibleFilterError, match=expected) as error:
        artemis_users(users, key)
    assert "canary" not in str(error.value)
