# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import tempfile

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings
from hypothesis import strategies as st
from passlib.hash import ldap_salted_sha256

from ansible_collections.bnlnpps.swf_testbed.plugins.filter.htpasswd_file import htpasswd_file

TOKEN = "0123456789abcdef" * 2


def user(**changes):
    return dict({"name": "reader", "token": TOKEN, "rights": ["read"]}, **changes)


def of(users, salt_of="lab-index"):
    """[name, hash, rights] of each line of the file"""
    return [line.split(":") for line in htpasswd_file(users, salt_of).splitlines()]


def test_a_hash_is_what_others_verify():
    ((name, hashed, rights),) = of([user()])
    assert (name, rights) == ("reader", "read")
    assert ldap_salted_sha256.verify(TOKEN, hashed)
    assert not ldap_salted_sha256.verify(TOKEN[1:], hashed)


def test_rights_are_behind_the_hash():
    rights = [
        line[2] for line in of([user(), user(name="publisher", rights=["upload", "read", "read"])])
    ]
    assert rights == ["read", "read,upload"]
    assert htpasswd_file([], "") == "" and TOKEN not in htpasswd_file([user()], "")


def test_one_token_has_another_hash_for_each_user_and_index_and_the_same_in_the_next_run():
    users = [user(), user(name="another")]
    hashes = [line[1] for host in ("one", "two") for line in of(users, host)]
    assert len(set(hashes)) == 4
    assert of(users, "one") == of(users, "one")


@pytest.mark.parametrize(
    "users,message",
    [
        ([user(), user()], "two users have the name reader"),
        ([user(rights=[])], "the rights of reader are invalid"),
        ([user(rights=["write"])], "the rights of reader are invalid"),
        ([user(token="short")], "has 5 characters"),
        ([user(token=int(TOKEN[:10] * 4))], "the token of reader must be text.*a number.*quote it"),
        ([user(token=None)], "the token of reader must be text"),
        ([user(token=["a"] * 32)], "the token of reader must be text"),
        ([user(name=83)], "the user name must be text"),
        ([user(name="a:b")], "is not a valid user name"),
        ([user(name="a\nb")], "is not a valid user name"),
        ([user(name=" a")], "is not a valid user name"),
        ([user(name="#a")], "is not a valid user name"),
        ([{}], "the rights of None"),
    ],
)
def test_refusals(users, message):
    with pytest.raises(AnsibleFilterError, match=message) as caught:
        htpasswd_file(users, "")
    assert TOKEN not in str(caught.value)


def basic(name, token):
    return "Basic " + base64.b64encode(("%s:%s" % (name, token)).encode()).decode()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(TEXT, st.sampled_from(["#a", " a", "a ", "a b", "\u00fc", "a:b", "{SHA}x", "a,b"])),
    TEXT,
)
def test_the_index_and_passlib_read_back_every_account_that_is_admitted(name, token):
    from accounts import Accounts

    token = token + TOKEN
    try:
        text = htpasswd_file([user(name=name, token=token), user(name="another")], "")
    except AnsibleFilterError:
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        assert Accounts(stream.name).rights_of(basic(name, token)) == (name, {"read"})
        assert Accounts(stream.name).rights_of(basic(name, token[1:])) == (name, None)
        assert Accounts(stream.name).rights_of(basic(name + "x", token)) == (name + "x", None)
