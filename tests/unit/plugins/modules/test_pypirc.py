# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written is read back by twine itself."""

from __future__ import annotations

import json
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twine.utils import get_repository_from_config

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.pypirc import (
    PypircError,
    with_indexes,
)
from helpers.run_module import run_module

TOKEN = "canary%%s0123456789#;canary"
LAB = {
    "name": "lab",
    "preset": "pypiserver",
    "url": "https://index.example.org/simple/",
    "username": "me",
    "token": TOKEN,
    "packages": ["swf-*"],
    "ca_cert": "/etc/lab.pem",
}
PYPI = {"name": "public", "preset": "pypi", "token": "pypi-" + TOKEN}
OTHERS = """\
# somebody's own
[distutils]
index-servers =
    other
    github

[other]
repository = https://other.example.org/
password = theirs

[github]
repository = https://pypi.pkg.github.com/bnlnpps
password = ghp_theirs
"""


@pytest.fixture(name="path")
def path_of_the_file(tmp_path):
    return tmp_path / ".pypirc"


def pypirc(path, indexes, **options):
    run = {key: options.pop(key) for key in ("check", "diff") if key in options}
    answer = run_module("pypirc", dict({"path": str(path), "indexes": indexes}, **options), **run)
    assert TOKEN not in json.dumps(answer).replace("\\\\", "\\") and "theirs" not in json.dumps(
        answer
    )
    return answer


def read_by_twine(path, name):
    return get_repository_from_config(str(path), name)


def test_a_new_file(path):
    assert pypirc(path, [LAB, PYPI], check=True)["changed"] and not path.exists()
    answer = pypirc(path, [LAB, PYPI], diff=True)
    assert answer["changed"] and answer["sections"] == ["lab", "pypi"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_by_twine(path, "lab") == {
        "repository": "https://index.example.org/",
        "username": "me",
        "password": TOKEN,
        "ca_cert": "/etc/lab.pem",
    }
    assert (
        read_by_twine(path, "pypi")["password"] == "pypi-" + TOKEN
        and read_by_twine(path, "pypi")["username"] == "__token__"
    )
    before = path.read_bytes()
    assert not pypirc(path, [LAB, PYPI])["changed"] and path.read_bytes() == before
    path.chmod(0o644)
    assert pypirc(path, [LAB, PYPI])["changed"] and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_sections_of_others_stay(path):
    path.write_text(OTHERS)
    answer = pypirc(path, [LAB])
    assert answer["github"] == ["[github]"] and "GitHub Packages" in str(answer["warnings"])
    text = path.read_text()
    assert OTHERS.partition("[other]")[2] in text and "# somebody's own" in text
    assert (
        read_by_twine(path, "other")["password"] == "theirs"
        and read_by_twine(path, "lab")["password"] == TOKEN
    )
    answer = pypirc(path, [LAB], remove_github=True)
    assert (
        answer["changed"]
        and "github" not in path.read_text()
        and read_by_twine(path, "other")["password"] == "theirs"
    )


def test_an_index_that_is_gone_takes_its_section_along(path):
    path.write_text(OTHERS)
    pypirc(path, [LAB, PYPI])
    pypirc(path, [PYPI])
    assert "lab" not in path.read_text() and "[pypi]" in path.read_text()
    pypirc(path, [])
    assert path.read_text() == OTHERS and not pypirc(path, [])["changed"]


def test_a_list_is_only_made_of_what_was_known(path):
    # without index-servers twine knows [pypi] and [testpypi]; with it, only what is listed
    path.write_text("[pypi]\nusername = __token__\npassword = theirs\n")
    pypirc(path, [LAB])
    assert read_by_twine(path, "pypi")["password"] == "theirs"


PARTS = [
    "# mine",
    "[other]\nrepository = https://other.example.org/\npassword = theirs\n",
    "[pypi]\r\nusername = __token__\r\n",
    "[distutils]\nindex-servers = other lab2\n",
    "[distutils]\nindex_servers=x\nindex-servers =\n    other\n    # why\n    pypi",
    "\n\n",
    "[distutils]",
    "[empty]",
    "[testpypi]\npassword = theirs",
    "[distutils]\nindex-servers = other",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=4, unique=True).map("\n".join))
def test_every_byte_of_somebody_else_comes_back(theirs):
    entries = normalised([LAB, dict(LAB, name="second", url="https://second.example.org/simple/")])
    try:
        text = with_indexes(theirs, entries)
    except PypircError:
        return
    assert with_indexes(text, entries) == text
    assert with_indexes(with_indexes(text, entries[1:]), []) == with_indexes(text, []) == theirs


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17F), max_size=10),
    st.sampled_from(PARTS),
)
def test_twine_reads_back_every_token_that_is_admitted(tmp_path, token, theirs):
    try:
        entries = normalised(
            [dict(LAB, token=token), dict(PYPI, username="x" + token, token=token)]
        )
    except ValueError:
        return
    path = tmp_path / "read-by-twine"
    path.write_text(with_indexes(theirs, entries), encoding="utf-8", newline="")
    assert (
        read_by_twine(path, "lab")["password"] == read_by_twine(path, "pypi")["password"] == token
    )
    assert read_by_twine(path, "pypi")["username"] == "x" + token


def test_what_twine_cannot_read_is_refused_by_its_line(path):
    path.write_text("[other]\npassword = theirs\n[other]\npassword = theirs\n")
    answer = pypirc(path, [LAB])
    assert (
        answer["failed"]
        and "twine cannot parse it either. Evidence: DuplicateSectionError, line 3" in answer["msg"]
    )


def test_an_index_without_uploads_has_no_section(path):
    indexes = [{"name": "wheels", "preset": "directory", "url": "/srv/wheels", "packages": ["a-*"]}]
    assert not pypirc(path, indexes)["changed"] and not path.exists()


def test_bad_entries_are_refused(path):
    answer = pypirc(path, [dict(LAB, url="https://me:x@index.example.org/simple/")])
    assert answer["failed"] and "contains credentials" in answer["msg"] and not path.exists()
