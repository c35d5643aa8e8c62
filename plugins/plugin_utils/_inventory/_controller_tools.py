# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs and Python packages that the roles of a host need on the controller."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Container, Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import find_uv
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._collection import ROOT
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values


def missing_tools(values: Values, roles: Container[str]) -> Iterator[Problem]:
    """One problem with all that is missing: one command installs it."""
    missing = [
        "%s (%s)" % (name, purpose)
        for name, purpose in needed(values, roles)
        if not is_installed(name)
    ]
    if missing:
        yield Problem(
            "the controller",
            "lacks what the roles of this inventory need",
            "%s does not have %s" % (sys.executable, ", ".join(missing)),
            "%s -m pip install -r %s" % (sys.executable, ROOT / "requirements.txt"),
        )


def needed(values: Values, roles: Container[str]) -> Iterator[tuple[str, str]]:
    """(name, purpose) of each."""
    if (
        "release" in roles
        and not values.text("swf_testbed_release_wheelhouse")
        and not os.path.isfile(os.path.expanduser(values.text("swf_testbed_release_lock_file")))
    ):
        yield "uv", "makes the lock of a release"
    if "package_index" in roles and values.entries("swf_testbed_package_index_sources"):
        yield "build", "builds the packages for the index"
        yield "twine", "uploads them"
    if "broker" in roles and not values.text("swf_testbed_broker_archive_url"):
        yield "lxml", "downloads the broker from Maven Central"


def is_installed(name: str) -> bool:
    if name == "uv":
        return find_uv() is not None
    # a directory with the name of a package is no package
    found = importlib.util.find_spec(name)
    return found is not None and found.origin is not None
