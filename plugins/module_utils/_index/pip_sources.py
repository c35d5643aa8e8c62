# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package sources of pip, from all files and variables that it reads."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_conf import (
    is_true,
    options,
)

# options that name package sources. In [global] they apply to all commands; those in a command's
# section have precedence for that command
SOURCES = ("index-url", "pypi-url", "extra-index-url", "find-links", "no-index")


def others(
    files: list[str], read: Callable[[str], str], target: str, wanted: Mapping[str, str]
) -> list[tuple[str, str, str, str]]:
    """The package sources of pip in addition to, or instead of, the wanted ones.

    :param files: paths in order of increasing precedence.
    :param read: function that returns the text of a file.
    :param target: path of the file with the wanted options.
    :param wanted: the wanted options of the section global.
    :returns: list of (path, section, option, value).
    :raises ValueError: pip cannot parse a file; the text begins with its path.
    """
    merged: dict[tuple[str, str], tuple[str, str]] = {}
    for path in files if target in files else [*files, target]:
        try:
            found = options(read(path))
        except ValueError as error:
            raise ValueError("%s: %s" % (path, error)) from None
        merged.update((key, (path, value)) for key, value in found.items() if key[1] in SOURCES)
    ours = {option: value.split() for option, value in wanted.items()}
    return [
        (path, section, option, value)
        for (section, option), (path, value) in sorted(merged.items())
        if value.split()
        and value.split() != ours.get(option)
        and (option != "no-index" or is_true(value))
    ]


def variables() -> list[str]:
    """The names of this process's variables that give pip or uv other package sources or
    configuration files."""
    return sorted(
        name
        for name, value in os.environ.items()
        if value
        and re.fullmatch(
            r"PIP_(CONFIG_FILE|ISOLATED|%s)|UV_(CONFIG_FILE|NO_CONFIG|INDEX|INDEX_URL|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|"
            "NO_INDEX)" % "|".join(option.replace("-", "_").upper() for option in SOURCES),
            name,
        )
    )
