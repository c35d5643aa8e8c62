# SPDX-License-Identifier: GPL-3.0-or-later
"""A pip.conf of somebody else, before and after, and what pip itself makes of all its files."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pip._internal.configuration import Configuration

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_conf import (
    options,
    sections_of,
    settings_in_files,
    usual_files,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_config import (
    set_option,
    with_options,
    without_options,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_sources import others
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_upstream import (
    asked_of_pip,
)

URL = "https://index.example.org/simple/"
OURS = {"no-input": "true", "index-url": URL, "extra-index-url": URL}
PARTS = st.sampled_from(
    [
        "[global]\n",
        "[global]",
        "[install]\r\n",
        "[install]",
        "timeout = 9\n",
        "timeout = 9",
        "# a note\n",
        "\n",
        "user = true\n",
        "find_links =\n    /a\n\n    /b\n",
        "[list]\n; x\n",
        "\tformat = json",
        "x\x0cy = 1\n",
        "é = ü\n",
    ]
)


def with_ours(text):
    return with_options(text, OURS), {"options": OURS, "section": "global" not in sections_of(text)}


@settings(max_examples=500, deadline=None)
@given(st.lists(PARTS, max_size=7).map("".join))
def test_every_file_that_pip_can_read_comes_back_byte_for_byte(theirs):
    try:
        before = options(theirs)
        text, record = with_ours(theirs)
    except ValueError:
        return
    assert options(text) == {
        **before,
        **{("global", option): value for option, value in OURS.items()},
    }
    assert without_options(text, record) == theirs


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17F), max_size=12))
def test_an_address_is_what_pip_reads_or_it_is_refused(tail):
    try:
        index = normalised([{"name": "lab", "url": "https://index.example.org/" + tail}])[0]
    except ValueError:
        return
    path = "/tmp/pip-conf-of-a-test-%d" % os.getpid()
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(set_option("[install]\nuser = true", "global", "index-url", index["url"]))
    os.environ["PIP_CONFIG_FILE"] = path
    try:
        reader = Configuration(isolated=False)
        reader.load()
        assert reader.get_value("global.index-url") == index["url"]
    finally:
        del os.environ["PIP_CONFIG_FILE"]
        os.unlink(path)


@pytest.fixture(name="login")
def login_with_files(tmp_path, monkeypatch):
    """Its home, with the variables of this login gone."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    return tmp_path


FILES = {
    "system/pip/pip.conf": "system",
    ".pip/pip.conf": "old",
    ".config/pip/pip.conf": "own",
    "named.conf": "named",
}
# pip's own answer decides; the last ones are cases that the issue does not name
CASES = [
    ("[install]\nextra-index-url = http://other.example.org\n", True),
    ("[global]\nfind-links = /srv/wheels\n", True),
    ("[download]\nindex_url = http://other.example.org\n", True),
    ("[wheel]\nno-index = yes\n", True),
    ("[install]\npypi-url = http://other.example.org\n", True),
    ("[install]\nno-index = off\nfind-links =\n", False),
    ("[install]\nextra-index-url = https://index.example.org/simple/\n", False),
    ("[global]\ntimeout = 5\n[list]\nformat = json\n", False),
]


@pytest.mark.parametrize("where", sorted(FILES))
@pytest.mark.parametrize("text,contradicts", CASES)
def test_every_file_of_pip_counts(login, monkeypatch, where, text, contradicts):
    own = login / ".config/pip/pip.conf"
    own.parent.mkdir(parents=True)
    own.write_text(with_ours("")[0])
    if where == "named.conf":
        monkeypatch.setenv("PIP_CONFIG_FILE", str(login / "named.conf"))
    path = login / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if path != own else with_ours(text)[0])
    files = asked_of_pip(sys.executable)[1]
    # a file that a variable names takes the place of the login's
    expected = ["system/pip/pip.conf", "named.conf"] if where == "named.conf" else list(FILES)[:3]
    assert [str(login / name) for name in expected] == [
        name for name in files if name.startswith(str(login))
    ]

    def read(name):
        return open(name, encoding="utf-8").read() if os.path.exists(name) else ""

    found = others(files, read, str(own), OURS)
    assert bool(found) == contradicts and {item[0] for item in found} <= {str(path)}
    # what pip says of itself: nothing but ours, or something else
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], text=True, capture_output=True, check=True
    ).stdout
    contradictions = [
        line
        for line in listed.splitlines()
        if re.search("index-url|find-links|no-index|pypi-url", line)
        and "index.example.org" not in line
        and not line.endswith(("''", "'off'"))
    ]
    assert bool(contradictions) == contradicts, listed


def test_without_a_pip_the_usual_files_count(login):
    assert usual_files(dict(os.environ)) == [
        str(login / "system/pip/pip.conf"),
        "/etc/pip.conf",
        str(login / ".pip/pip.conf"),
        str(login / ".config/pip/pip.conf"),
    ]


@pytest.mark.parametrize("first,second", [("a", "z"), ("z", "a")])
def test_precedence_is_pips(login, monkeypatch, first, second):
    """pip config list prints the values of all files in the order of their paths, and so not in
    that in which they count."""
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(login / first))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(login / second))
    for name, text in (
        (
            first,
            "[global]\nindex-url = http://127.0.0.1:9/other/\ncert = /a.pem\n[install]\nproxy = "
            "http://a:1\n",
        ),
        (
            second,
            "[global]\nindex_url = http://127.0.0.1:9/ours/\n[download]\ncert = "
            "/b\n[install]\ncert=/c\n",
        ),
    ):
        (login / name / "pip").mkdir(parents=True)
        (login / name / "pip/pip.conf").write_text(text)
    monkeypatch.setenv("PIP_TRUSTED_HOST", "a")
    found = asked_of_pip(sys.executable)[2]
    assert {key: found[key] for key in ("index-url", "cert", "proxy", "trusted-host")} == {
        "index-url": "http://127.0.0.1:9/ours/",
        "cert": "/c",
        "proxy": "http://a:1",
        "trusted-host": "a",
    }
    # what pip does
    monkeypatch.setenv("PIP_PROXY", "")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--retries=0",
            "--target",
            str(login / "t"),
            "no-such-thing",
        ],
        text=True,
        capture_output=True,
        check=False,
    )
    assert "Looking in indexes: http://127.0.0.1:9/ours/" in done.stdout + done.stderr
    # and without a pip
    without = settings_in_files(usual_files(dict(os.environ)), dict(os.environ, PIP_INDEX_URL=""))
    assert without["index-url"] == found["index-url"]


def test_what_pip_would_read_otherwise_with_ours_is_refused():
    with pytest.raises(ValueError, match="options in it are indented"):
        with_ours("[global]\n  timeout = 9\n")


def test_what_pip_cannot_read_is_refused_by_its_line():
    with pytest.raises(
        ValueError, match=r"pip cannot parse it. Evidence: ParsingError, line 2"
    ) as caught:
        options("[global]\nhidden\n")
    assert "hidden" not in str(caught.value)
