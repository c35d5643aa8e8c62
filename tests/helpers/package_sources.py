# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny package's sources that pass every check, and can be broken one piece at a time."""

from __future__ import annotations

PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "swf-thing"
version = "1.0"
description = "A thing."
readme = "README.md"
license = "GPL-3.0-or-later"
license-files = ["LICENSE"]
requires-python = ">=3.9"
dependencies = ["swf-common-lib>=0.1"]

[project.urls]
Repository = "https://github.com/bnlnpps/swf-thing"

[project.scripts]
swf-thing = "swf_thing.cli:main"

[tool.hatch.build.targets.wheel]
packages = ["src/swf_thing"]
"""


def make_source(folder, version="1.0", name="swf-thing"):
    """The folder, filled."""
    package = folder / "src" / name.replace("-", "_")
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli.py").write_text("def main():\n    print('a thing')\n")
    (folder / "README.md").write_text("# A thing\n")
    (folder / "LICENSE").write_text("Do as you like.\n")
    (folder / "pyproject.toml").write_text(
        PYPROJECT.replace('"1.0"', '"%s"' % version)
        .replace("swf-thing", name)
        .replace("swf_thing", name.replace("-", "_"))
    )
    return folder


def edit(folder, before, after):
    """Replace a piece of pyproject.toml, which must be there."""
    path = folder / "pyproject.toml"
    text = path.read_text()
    assert before in text, before
    path.write_text(text.replace(before, after))
