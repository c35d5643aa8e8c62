# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The message of a failed installation, from the output of the installer and from a request to the
index itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.errors import explain
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.probe import diagnose

# enough for a verdict, and no flood of requests
MOST_NAMES = 10


def explained(
    error: InstallError,
    indexes: Iterable[Mapping[str, Any]],
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
    plain = [re.sub(r"\[.*?\]", "", name) for name in names]
    found = diagnose(mine, plain[:MOST_NAMES], access_dir)
    return text + "".join("\nVerdict (pip_index_info): " + line for line in found)
