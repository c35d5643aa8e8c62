# SPDX-License-Identifier: GPL-3.0-or-later
"""A uv.toml of somebody else, before and after, as uv itself reads it."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import uv_toml
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import find_uv
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.marked_block import (
    outside,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from helpers.netrc_readers import Readers

LINES = uv_toml.index_lines(
    normalised([{"name": "lab", "url": "https://index.example.org/simple/"}])[0], []
)
THEIRS = [
    "",
    "offline = false",
    '# mine\nlink-mode = "copy"\n',
    "[pip]\nno-deps = false",
    "[pip]\r\nstrict = true\r\n# x\r\n",
    'constraint-dependencies = ["six<2"]\n\n\n',
    '[[dependency-metadata]]\nname = "x"\nrequires-dist = []',
]


@pytest.fixture(name="readers", scope="module")
def server_that_notes_who_asks(tmp_path_factory):
    found = Readers(tmp_path_factory.mktemp("readers"))
    yield found
    found.stop()


@pytest.mark.parametrize("theirs", THEIRS)
def test_uv_asks_our_index_and_their_file_comes_back(readers, tmp_path, theirs):
    index = normalised(
        [{"name": "lab", "url": readers.url, "username": "reader", "token": "canary"}]
    )[0]
    text = uv_toml.with_indexes(theirs, "swf-testbed", uv_toml.index_lines(index, []))
    path = tmp_path / "uv.toml"
    path.write_text(text, newline="")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login reader password canary\n")
    assert readers.of(
        find_uv(),
        "pip",
        "install",
        "--no-cache",
        "--python",
        "/usr/bin/python3",
        "--target",
        str(tmp_path / "t"),
        "no-such-thing",
        UV_CONFIG_FILE=str(path),
        NETRC=str(tmp_path / "netrc"),
    ) == ("reader", "canary")
    assert uv_toml.with_indexes(text, "swf-testbed", uv_toml.index_lines(index, [])) == text
    assert outside(text, "swf-testbed") == theirs


@pytest.mark.parametrize(
    "theirs,key",
    [
        ('index = [{ url = "https://mine.example.org/simple" }]', "index"),
        ('[[index]]\nurl = "https://mine.example.org/simple"\n', "index"),
        ('[[ "index" ]]\nurl = "https://mine.example.org/simple"', "index"),
        ('extra-index-url = ["https://mine.example.org/simple"]\n', "extra-index-url"),
        ('[pip]\nfind-links = ["/srv/wheels"]\n', "pip.find-links"),
        ('pip = { index-url = "https://mine.example.org/simple" }', "pip.index-url"),
    ],
)
def test_what_names_indexes_is_refused_with_the_lines_to_add(theirs, key):
    with pytest.raises(uv_toml.UvTomlError, match="it sets %s, " % key) as caught:
        uv_toml.with_indexes(theirs, "swf-testbed", LINES)
    assert LINES in str(caught.value)


@pytest.mark.parametrize(
    "theirs,message",
    [
        ("offline = \n", "uv cannot read it either: .*line 1"),
        ("offline = true\noffline = true\n", "line 2"),
        # TOML, and uv wants a boolean
        ('offline = "perhaps"\n', "uv cannot read it"),
    ],
)
def test_what_uv_cannot_read_is_refused(theirs, message):
    with pytest.raises(uv_toml.UvTomlError, match=message):
        uv_toml.with_indexes(theirs, "swf-testbed", LINES)


def test_without_a_reader_of_toml_only_comments_are_understood(monkeypatch):
    monkeypatch.setattr(uv_toml, "toml_parser", lambda: None)
    assert uv_toml.with_indexes("# nothing\n\n", "swf-testbed", LINES).endswith("# nothing\n\n")
    with pytest.raises(uv_toml.UvTomlError, match="no TOML parser.*install pip") as caught:
        uv_toml.with_indexes("offline = true\n", "swf-testbed", LINES)
    assert LINES in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=8),
        min_size=1,
        max_size=3,
    )
)
def test_every_address_that_is_admitted_is_read_back(parts):
    entry = {"name": "lab", "url": "https://index.example.org/" + "/".join(parts)}
    try:
        index = normalised([entry])[0]
    except ValueError:
        return
    found = uv_toml.toml_parser().loads(uv_toml.index_lines(index, [dict(index, name="x")]))[
        "index"
    ]
    assert [item["url"] for item in found] == [index["url"]] * 2 and found[1]["default"]


def test_uv_is_there():
    assert subprocess.run([find_uv(), "--version"], check=True, capture_output=True).stdout
