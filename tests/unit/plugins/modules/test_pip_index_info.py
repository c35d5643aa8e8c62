# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, against a real pypiserver with a password. What servers' answers
mean is tested in module_utils/_index/test_index_servers.py."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    PRESETS,
    IndexesError,
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.verdicts import TEXTS
from ansible_collections.bnlnpps.swf_testbed.plugins.modules import pip_index_info
from helpers.index_server import IndexServer, make_wheel
from helpers.run_module import run_module

TOKEN = "canary0123456789canary0123456789canary01"
PACKAGES = ["swf-testbed", "swf-common-lib"]


@pytest.fixture(name="index", scope="module")
def real_index(tmp_path_factory):
    server = IndexServer(tmp_path_factory.mktemp("index") / "packages", TOKEN)
    for name in PACKAGES:
        make_wheel(server.folder, name, "1.0")
    yield server
    server.stop()


def ask(index, check=False, **arguments):
    entry = index.as_index("lab", preset="pypiserver", packages=["swf-*"])
    return run_module(
        "pip_index_info", {"indexes": [entry], "packages": PACKAGES, **arguments}, check=check
    )


@pytest.mark.parametrize("check", [False, True])
def test_all_is_well(index, check):
    answer = ask(index, check=check)
    assert (
        not answer["failed"]
        and not answer["changed"]
        and answer["ok"]
        and answer["problems"] == []
        and answer["unsafe"] == []
    )
    assert [(item["package"], item["verdict"], item["latest"]) for item in answer["packages"]] == [
        (name, "ok", "1.0") for name in PACKAGES
    ]
    assert (
        answer["indexes"][0]["reachable"]
        and answer["indexes"][0]["login"]
        and TOKEN not in json.dumps(answer)
    )


def test_problems_are_returned_or_fail(index):
    answer = ask(index, packages=["swf-testbed==1.0", "swf-nothing"])
    assert not answer["failed"] and not answer["ok"] and len(answer["problems"]) == 1
    failed = ask(index, packages=["swf-testbed==1.0", "swf-nothing"], fail=True)
    assert (
        failed["failed"]
        and "1. " + answer["problems"][0] in failed["msg"]
        and failed["packages"] == answer["packages"]
    )


def test_credentials_that_the_role_placed(index, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login reader password %s\n" % TOKEN)
    entry = {"name": "lab", "url": index.url, "packages": ["swf-*"]}
    answer = run_module(
        "pip_index_info", {"indexes": [entry], "packages": PACKAGES, "access_dir": str(tmp_path)}
    )
    assert answer["ok"] and TOKEN not in json.dumps(answer)


def test_what_is_not_private_enough_is_a_warning(tmp_path):
    server = IndexServer(tmp_path / "open")
    try:
        make_wheel(server.folder, "swf-testbed", "1.0")
        answer = ask(server, packages=["swf-testbed"])
    finally:
        server.stop()
    assert answer["ok"] and answer["packages"][0]["verdict"] == "anonymous"
    assert (
        len(answer["unsafe"]) == 1
        and "anyone who can connect to it can read it" in answer["unsafe"][0]
    )
    assert answer["unsafe"][0] in json.dumps(answer["warnings"])


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"packages": ["swf-testbed>=1"]}, "neither a name nor name==version"),
        ({"python": "three"}, "not a version of Python"),
        ({"timeout": 0}, "is too short"),
        (
            {"indexes": [{"name": "lab", "preset": "devpi", "url": "https://h.example.org/x/"}]},
            "USER/INDEX",
        ),
        (
            {"indexes": [{"name": "lab", "url": "https://me:%s@h.example.org/simple/" % TOKEN}]},
            "contains credentials",
        ),
    ],
)
def test_bad_input_is_refused(index, arguments, message):
    answer = ask(index, **arguments)
    assert answer["failed"] and message in answer["msg"] and "packages" not in answer
    assert TOKEN not in answer["msg"]


def test_documented_results_are_those_that_are_returned(index):
    documented = yaml.safe_load(pip_index_info.RETURN)
    answer = ask(index, packages=["swf-testbed"])
    assert set(answer) - {"failed", "changed", "invocation", "warnings"} == set(documented)
    for key in ("indexes", "packages"):
        assert set(answer[key][0]) == set(documented[key]["contains"])
    assert set(answer["packages"][0]["files"][0]) == set(
        documented["packages"]["contains"]["files"]["contains"]
    )


def test_the_page_on_servers_has_the_messages_that_are_given(root):
    text = (root / "docs/reference/package_indexes.md").read_text()
    given = {
        cause.format(index="lab", package="swf-testbed", indexes=names)
        for cause, _fix in TEXTS.values()
        for names in ("pypi, lab", "one, two")
    }
    for preset in PRESETS:
        try:
            normalised([{"name": "lab", "preset": preset, "url": "https://index.example.org/x/"}])
        except IndexesError as refused:
            given.add(str(refused).partition(": ")[2])
    quoted = re.findall(r"`((?:the|nothing|this login|this host|swf-testbed) [^`]+)`", text)
    assert len(quoted) > 30 and [message for message in quoted if message not in given] == []
    assert [preset for preset in [*PRESETS, "github"] if "`preset: %s`" % preset not in text] == []
