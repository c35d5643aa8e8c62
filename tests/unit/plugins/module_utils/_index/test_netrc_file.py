# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins in netrc files, as the real readers take them: Python before and since 3.11, uv, curl and
pip."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.marked_block import (
    BEGIN,
    END,
    BlockError,
    outside,
    set_block,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import configuration
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.netrc_file import (
    NetrcError,
    logins_in,
    with_logins,
)
from helpers.netrc_readers import Readers

OURS = "machine 127.0.0.1 login reader password canary\n"
LOGIN = ("reader", "canary")
# what a login may have in its file
THEIRS = {
    "nothing": "",
    "no end of the last line": "machine git.example.org login me password mine",
    "several lines and a comment": "# mine\nmachine git.example.org\n  login me\n\tpassword mine\n",
    "ends of lines as on Windows": "machine git.example.org login me password mine\r\nmachine x "
    "login me password x\r\n\r\n",
    "a macro at the end": "machine git.example.org login me password mine\nmacdef init\ncd "
    "/pub\nput x\n\n",
    "a default entry": "machine git.example.org login me password mine\ndefault login anonymous "
    "password me@example.org\n",
    "only a comment without end": "# nothing yet",
    "empty lines": "\n\n",
    "quotes and escapes": 'machine git.example.org login me password "my\\"word"\n',
}


@pytest.fixture(name="readers", scope="module")
def real_readers(tmp_path_factory):
    found = Readers(tmp_path_factory.mktemp("readers"))
    assert len(found.pythons) == 2, (
        "a Python before 3.11 and one since are needed: pyenv, or python3.9 or 3.10 on PATH"
    )
    yield found
    found.stop()


@pytest.mark.parametrize("case", sorted(THEIRS))
def test_our_login_is_read_and_theirs_stay(readers, tmp_path, case):
    theirs, path = THEIRS[case], tmp_path / "netrc"
    text = with_logins(theirs, "swf-testbed", OURS)
    path.write_text(text, newline="")
    answers = readers.all(path)
    if case == "quotes and escapes":
        # a Python before 3.11 reads that word otherwise, with or without us
        answers = answers[1:]
    assert answers == [LOGIN] * len(answers)
    assert {**logins_in(theirs), "127.0.0.1": LOGIN} == logins_in(text)
    assert with_logins(text, "swf-testbed", OURS) == text and outside(text, "swf-testbed") == theirs


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([*THEIRS.values(), "\r\n", "\x0c", "machine a login b", "#", "é"]),
        max_size=4,
    ).map("".join),
    st.sampled_from(["swf-testbed", "swf", "a"]),
)
def test_every_text_is_restored_byte_for_byte(theirs, owner):
    text = set_block(theirs, owner, OURS)
    other = set_block(text, "b", OURS)
    assert set_block(text, owner, OURS) == text
    assert (
        outside(text, owner) == theirs
        and outside(outside(other, owner), "b") == outside(outside(other, "b"), owner) == theirs
    )


def test_what_earlier_versions_did_to_the_last_line_is_repaired():
    block = "".join(
        line + "\n" for line in (BEGIN % "swf-testbed", OURS.strip(), END % "swf-testbed")
    )
    damaged = "machine git.example.org login me password mine" + block + block
    assert outside(damaged, "swf-testbed") == "machine git.example.org login me password mine"
    assert logins_in(with_logins(damaged, "swf-testbed", OURS)) == {
        "git.example.org": ("me", "mine"),
        "127.0.0.1": LOGIN,
    }


@pytest.mark.parametrize(
    "theirs,message",
    [
        (
            "machine git.example.org login me password mine\nmachin other.example.org hidden\n",
            "Evidence: line 2",
        ),
        ("machine git.example.org login me hidden mine\n", "Evidence: line 1"),
        ("machine 127.0.0.1 login me password hidden\n", "another login for 127.0.0.1"),
        ("machine a login b password \udcfchidden\n", "line 1 is not UTF-8"),
        (
            "# x\nmachine a login b password hidden\r\n# x\r\n",
            "line 3 is a comment after a line with a Windows line end",
        ),
        ("\ufeffmachine a login b password hidden\n", "Evidence: line 1"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_line(theirs, message):
    with pytest.raises(NetrcError, match=message) as caught:
        with_logins(theirs, "swf-testbed", OURS)
    assert "hidden" not in str(caught.value)


def test_half_a_block_is_refused_by_its_line():
    with pytest.raises(BlockError, match="line 2 is one of the marks"):
        outside("# mine\n%s\nmachine a login b password c\n" % (BEGIN % "swf"), "swf")


SECRETS = st.text(
    st.characters(min_codepoint=1, max_codepoint=0x17F, exclude_categories=["Cs"]), max_size=12
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(SECRETS, SECRETS)
@example("me", "back\\slash")
@example("me", '"quoted"')
@example("me", "#comment")
@example("#me", "x")
@example("me", "two words")
@example("me", "päss")
@example("me", "")
@example("me", "x#y'z\"w%41$HOME!~`")
@example("me", "machine")
@example("default", "'x")
@example("a:b", "x")
def test_a_login_is_read_alike_by_all_or_refused(readers, tmp_path, username, token):
    index = {"name": "lab", "url": readers.url, "username": username, "token": token}
    if configuration.unusable_login(username, token):
        if username and token:
            with pytest.raises(configuration.IndexesError):
                configuration.netrc([index])
        return
    path = tmp_path / "netrc"
    path.write_text(configuration.netrc([index]), encoding="utf-8")
    # pip reads netrc with the Python that it runs in
    assert set(readers.of_pythons(path)) | {readers.of_curl(path), readers.of_uv(path)} == {
        (username, token)
    }


@pytest.mark.parametrize(
    "token,problem",
    [
        ("back\\slash", "a backslash"),
        ('"x', "a double quote at its beginning"),
        ("#x", "a # at its beginning"),
        ("a b", "a space"),
        ("tab\there", "a space"),
        ("päss", "not ASCII"),
        ("\x1bx", "a control character"),
    ],
)
def test_a_refusal_names_index_and_characters_and_not_the_token(token, problem):
    with pytest.raises(
        configuration.IndexesError,
        match="lab: the token has .*%s.*Fix: use another token" % problem,
    ) as caught:
        configuration.normalised(
            [
                {
                    "name": "lab",
                    "url": "https://lab.example.org/simple/",
                    "username": "me",
                    "token": token,
                }
            ]
        )
    assert token not in str(caught.value)


def test_an_ipv6_address_has_both_of_its_names():
    index = {
        "name": "lab",
        "url": "https://[2001:db8::1]:8004/simple/",
        "username": "me",
        "token": "x",
    }
    assert configuration.netrc([index]) == "".join(
        "machine %s login me password x\n" % name for name in ("2001:db8::1", "[2001:db8::1]")
    )
