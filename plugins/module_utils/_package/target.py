# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of swf_testbed_pip_indexes for publishing, and its configuration for twine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    IndexesError,
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    PublishError,
)

# twine's name of PyPI; twine has its addresses
TWINE_PYPI = "pypi"
#: presets whose server accepts uploads from GitHub Actions without a stored token
TRUSTED = ("pypi", "testpypi")
HEADING = "# Written by bnlnpps.swf_testbed; changes made here are overwritten."


def target(
    indexes: list[dict[str, Any]], name: str | None, needs_token: bool = True
) -> dict[str, Any]:
    """The normalised entry of the index to publish to.

    :param indexes: the items of swf_testbed_pip_indexes.
    :param name: name of one of them. Empty: the private index, that is the one that claims names
        and is not PyPI or TestPyPI.
    :param needs_token: whether something will be uploaded.
    :raises PublishError: there is no such index, or it does not accept uploads.
    """
    try:
        entries = normalised(indexes)
    except IndexesError as error:
        raise PublishError(str(error)) from error
    if name:
        found = [entry for entry in entries if entry["name"] == name]
    else:
        # never a public index, unless it is named: a public upload cannot be undone
        private = [entry for entry in entries if entry["preset"] not in TRUSTED]
        found = [entry for entry in private if entry["packages"]] or private
    if len(found) != 1:
        names = ", ".join(entry["name"] for entry in entries) or "none"
        if name:
            raise PublishError(
                "there is no index %r in swf_testbed_pip_indexes. Evidence: there are: %s. Fix: "
                "set swf_testbed_publish_index to one of them" % (name, names)
            )
        raise PublishError(
            "the index to publish to is ambiguous. Evidence: swf_testbed_pip_indexes does not have "
            "exactly one private index that claims names; there are: %s. Fix: set "
            "swf_testbed_publish_index to one of them" % names
        )
    entry = found[0]
    problem = refusal(entry)
    if problem:
        raise PublishError(problem)
    if needs_token and not entry["token"]:
        raise PublishError(
            "the index %s has no token in swf_testbed_pip_indexes, and publishing needs one. Fix: "
            "create one with upload permission on the server, and set it as token of the index"
            % entry["name"]
        )
    return entry


def refusal(entry: Mapping[str, Any]) -> str | None:
    """The error message if a normalised index does not accept uploads, or None."""
    if entry["preset"] == "directory":
        return (
            "the index %s is a directory, which does not accept uploads. Fix: copy the files "
            "there: python3 -m build, then cp dist/*.whl %s/" % (entry["name"], entry["url"])
        )
    if entry["preset"] == "gitlab" and not entry["upload_url"]:
        return (
            "the index %s is a GitLab group, and uploads need a project. Fix: add an index for the "
            "project: https://HOST/api/v4/projects/ID/packages/pypi/simple/" % entry["name"]
        )
    if entry["preset"] != "pypi" and not entry["upload_url"]:
        return (
            "the upload address of the index %s (%s) is unknown. Fix: set its upload_url in "
            "swf_testbed_pip_indexes" % (entry["name"], entry["url"])
        )
    return None


def section_name(entry: Mapping[str, Any]) -> str:
    """The name of the .pypirc section of a normalised index."""
    return entry["name"] if entry["upload_url"] else TWINE_PYPI


def section(entry: Mapping[str, Any]) -> str:
    """The text of that section. The percent sign stays single: twine reads the file without
    interpolation."""
    lines = ["[%s]" % section_name(entry), HEADING]
    for key, value in (
        ("repository", entry["upload_url"]),
        ("username", entry["username"]),
        ("password", entry["token"]),
        ("ca_cert", entry["ca_cert"]),
    ):
        if value:
            lines.append("%s = %s" % (key, value))
    return "\n".join(lines) + "\n"
