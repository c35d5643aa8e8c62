# SPDX-License-Identifier: GPL-3.0-or-later
"""GitHub Packages is found in pip.conf and .pypirc, and taken out without touching anything
else."""

from __future__ import annotations

import configparser

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.github_packages import (
    in_pip_conf,
    in_pypirc,
    without_github,
)

PYPIRC = """\
# mine
[distutils]
index-servers =
    github
    lab

# old
[github]
repository = https://pypi.pkg.github.com/bnlnpps
username = __token__
password = ghp_secret

# new
[lab]
repository: https://index.example.org/   ; odd
password = 50%
"""
REMAINING = """\
# mine
[distutils]
index-servers =
    lab

# old
# new
[lab]
repository: https://index.example.org/   ; odd
password = 50%
"""


def test_a_section_of_pypirc_goes_as_a_whole():
    assert in_pypirc(PYPIRC) == ["[github]"]
    assert without_github(PYPIRC) == REMAINING
    assert in_pypirc(REMAINING) == [] and without_github(REMAINING) == REMAINING


def test_servers_in_one_line():
    text = PYPIRC.replace("index-servers =\n    github\n    lab", "index-servers = github lab")
    assert "index-servers = lab\n" in without_github(text)
    only = "[distutils]\nindex-servers = gh\n[gh]\nrepository = https://pypi.pkg.github.com/x\n"
    assert without_github(only) == "[distutils]\n"


@pytest.mark.parametrize(
    "text,found,left",
    [
        (
            "[global]\nextra-index-url = https://me:tok@pypi.pkg.github.com/bnlnpps/\ntimeout = "
            "9\n",
            ["[global] extra-index-url"],
            "[global]\ntimeout = 9\n",
        ),
        (
            "[global]\nextra-index-url = https://a/ https://me:tok@pypi.pkg.github.com/o/ "
            "https://b/\n",
            ["[global] extra-index-url"],
            "[global]\nextra-index-url = https://a/ https://b/\n",
        ),
        (
            "[global]\nextra-index-url =\n    https://a/simple/\n    # why\n    "
            "https://PyPI.pkg.github.com/o\nno-input = true\n",
            ["[global] extra-index-url"],
            "[global]\nextra-index-url =\n    https://a/simple/\n    # why\nno-input = true\n",
        ),
        (
            "[global]\nindex-url = https://pypi.pkg.github.com/o/simple/\n[install]\ntrusted-host: "
            "pypi.pkg.github.com\n",
            ["[global] index-url", "[install] trusted-host"],
            "[global]\n[install]\n",
        ),
        (
            "[global]\nindex-url = https://example.org/pypi.pkg.github.com.example/simple/\n",
            [],
            "[global]\nindex-url = https://example.org/pypi.pkg.github.com.example/simple/\n",
        ),
        (
            "# https://pypi.pkg.github.com/o was here",
            [],
            "# https://pypi.pkg.github.com/o was here",
        ),
        ("", [], ""),
    ],
)
def test_options_of_pip_conf(text, found, left):
    assert in_pip_conf(text) == found
    assert without_github(text) == left
    # pip reads what is left
    configparser.RawConfigParser().read_string(left)


def test_no_token_is_in_what_is_reported():
    assert "tok" not in str(
        in_pip_conf("[global]\nextra-index-url = https://me:tok@pypi.pkg.github.com/o/\n")
    )
