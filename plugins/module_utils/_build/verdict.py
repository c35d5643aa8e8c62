# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The message of a failed installation, from the output of the installer and from a request to the
index itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.errors import explain
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.lock import index_of
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.probe import diagnose

# enough for a verdict, and no flood of requests
MOST_NAMES = 10


def explained(
    error: InstallError,
    indexes: Sequence[Mapping[str, Any]],
    names: Iterable[str],
    access_dir: str | None = None,
    lock: str = "see swf_testbed_release_lock_file",
) -> str:
    """The message for an :class:`InstallError`, with the verdict of ``pip_index_info`` on the index
    that was asked.

    :param indexes: the items of ``swf_testbed_pip_indexes`` that were installed from.
    :param names: requested names, as ``name`` or ``name==version``.
    :param access_dir: folder with the credentials and certificates, or None if the items have
        them.
    :param lock: path of the lock on the controller.
    """
    text = explain(error, lock)
    mine = [index for index in indexes if error.index and index["name"] == error.index["name"]]
    if not mine or not mine[0].get("url"):
        return text
    # no index is asked for a name of another one
    plain = [
        re.sub(r"\[.*?\]", "", name)
        for name in names
        if serves(mine[0]["name"], name, list(indexes))
    ]
    found = diagnose(mine, plain[:MOST_NAMES], access_dir)
    return text + "".join("\nVerdict (pip_index_info): " + line for line in found)


def serves(index: str, requirement: str, indexes: list[Mapping[str, Any]]) -> bool:
    name = re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]
    try:
        return bool(index_of(name, normalised(indexes))["name"] == index)
    except ValueError:
        return False
