# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the dependencies that the given pyproject.toml files have outside of the swf packages, one
a line."""

import re
import sys

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

found = set()
for path in sys.argv[1:]:
    with open(path, "rb") as stream:
        project = tomllib.load(stream)["project"]
    wanted = list(project.get("dependencies", []))
    # the extras that a provisioned host uses
    wanted += project.get("optional-dependencies", {}).get("postgresql", [])
    found.update(item for item in wanted if not re.match(r"swf-", item))
print("\n".join(sorted(found)))
