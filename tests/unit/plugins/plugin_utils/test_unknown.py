# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that no role knows, and the names that the plays set themselves."""

from __future__ import annotations

import re

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._unknown import (
    edits,
    misspelled,
)

# the name of the package of the CLI, and former names
NO_VARIABLES = {"swf_testbed_cli", "swf_testbed_extra_programs", "swf_testbed_broker_engine"}


def words(root):
    """Everything that looks like a variable of ours in what the collection has: {name: file}."""
    for folder in ("roles", "playbooks", "plugins", "inventory", "examples"):
        for path in (root / folder).rglob("*.*"):
            if path.suffix in (".yml", ".j2", ".py", ".example"):
                for name in re.findall(
                    r"(?<![\w.])swf_testbed_[a-z]\w*", path.read_text(encoding="utf-8")
                ):
                    yield name, path


def test_every_name_that_the_collection_uses_is_known(root):
    for name, path in words(root):
        assert (
            name in _variables.options()
            or _variables.INTERNAL.fullmatch(name)
            or name in NO_VARIABLES
            or any(
                # a part of a name, in a text that lists several
                option.startswith(name)
                for option in _variables.options()
            )
        ), "%s in %s" % (name, path)


def test_what_plays_register_is_internal(root):
    registered = {
        name
        for path in [*(root / "roles").rglob("*.yml"), *(root / "playbooks").rglob("*.yml")]
        for name in re.findall(r"register: (swf_testbed_\w+)", path.read_text())
    }
    assert len(registered) >= 4
    assert [name for name in sorted(registered) if not _variables.INTERNAL.fullmatch(name)] == []
    assert not any(_variables.INTERNAL.fullmatch(name) for name in _variables.options())


@pytest.mark.parametrize(
    ("one", "other", "number"),
    [
        ("abc", "abc", 0),
        ("abc", "ab", 1),
        ("abc", "abcd", 1),
        ("abc", "abd", 1),
        ("abc", "acb", 1),
        ("abc", "xyz", 3),
        ("", "ab", 2),
    ],
)
def test_edits(one, other, number):
    assert {edits(*pair) for pair in ((one, other), (other, one))} == {number}


@pytest.mark.parametrize(
    "name",
    [
        "database_host",
        "broker_password",
        "service_user",
        "monitor_email",
        "pip_index_url",
        "install_dir",
        "ansible_user",
        "group_names",
        "inventory_dir",
        "release",
    ],
)
def test_names_of_a_site_are_its_own(name):
    assert misspelled(name) is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("swf_tesbed_release_version", "swf_testbed_release_version"),
        ("swftestbed_keep_releases", "swf_testbed_keep_releases"),
        ("wsf_testbed_broker_listen", "swf_testbed_broker_listen"),
        ("swf_testbde_doctor_timeout", "swf_testbed_doctor_timeout"),
    ],
)
def test_close_misspellings_are_found(name, meant):
    assert misspelled(name) == meant
