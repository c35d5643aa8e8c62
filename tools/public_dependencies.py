# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the dependencies of the given pyproject.toml files that are not swf packages, one a line."""

from __future__ import annotations

import re
import sys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

found: set[str] = set()
for path in sys.argv[1:]:
    with open(path, "rb") as stream:
        project = tomllib.load(stream)["project"]
    wanted = list(project.get("dependencies", []))
    # the extras that a provisioned host uses
    wanted += project.get("optional-dependencies", {}).get("postgresql", [])
    found.update(item for item in wanted if not re.match(r"swf-", item))
print("\n".join(sorted(found)))
