# SPDX-License-Identifier: GPL-3.0-or-later
"""The package swf-testbed has copies of files of the collection, because each is installed without
the other."""

from __future__ import annotations

import pytest
import yaml

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


def test_the_umbrella_package_requires_the_stack(root):
    stack = yaml.safe_load((root / "stacks/reference.yml").read_text())
    packages = {*stack["libraries"], *(item["package"] for item in stack["components"])}
    text = (root / "packages/swf-testbed/pyproject.toml").read_text()
    for name in packages - {"swf-testbed"}:
        assert '"%s>=' % name in text, name
