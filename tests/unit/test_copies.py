# SPDX-License-Identifier: GPL-3.0-or-later
"""The package swf-testbed has copies of files of the collection, because each is installed without
the other."""

from __future__ import annotations

import re

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack

PACKAGE = "packages/swf-testbed/src/swf_testbed_cli"
COPIES = {
    "stacks/reference.yml": PACKAGE + "/stacks/reference.yml",
    "roles/_instance/templates/supervisord.conf.j2": PACKAGE + "/templates/supervisord.conf.j2",
}


@pytest.mark.parametrize("original", COPIES)
def test_a_copy_is_identical(root, original):
    copy = COPIES[original]
    assert (root / copy).read_bytes() == (root / original).read_bytes(), (
        "The copy differs. Evidence: %s. Fix: cp %s %s" % (copy, original, copy)
    )


def test_no_other_file_of_the_package_is_a_template(root):
    found = {
        str(path.relative_to(root))
        for folder in ("stacks", "templates")
        for path in (root / PACKAGE / folder).iterdir()
    }
    assert found == set(COPIES.values())


def test_the_umbrella_package_requires_all_others(root):
    text = (root / "packages/swf-testbed/pyproject.toml").read_text()
    required = re.findall(r'^    "(swf-[a-z-]+)>=', text, re.MULTILINE)
    assert {*required, "swf-testbed"} == set(_stack.Stack(_stack.load("reference")).distributions())
