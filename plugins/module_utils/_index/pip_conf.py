# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip.conf, read with the same parser as pip."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Mapping

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import xdg

# pip's levels of configuration; later ones have precedence
LEVELS = ("global", "user", "site", "env")
FILE = re.compile(r"^  (?P<path>/.*), exists: (True|False)$")


def options(text: str) -> dict[tuple[str, str], str]:
    """{(section, option): value} of a pip.conf. Options have dashes, as in pip's own comparison.

    :raises ValueError: pip cannot parse it either; the text names the line and quotes nothing.
    """
    try:
        parser = parsed(text)
    except ValueError as error:
        raise ValueError("pip cannot parse it. Evidence: %s. Fix: correct it" % error) from None
    return {
        (section, option.replace("_", "-")): value
        for section in parser.sections()
        for option, value in parser.items(section)
    }


def sections_of(text: str) -> list[str]:
    return parsed(text).sections()


def parsed(text: str) -> configparser.RawConfigParser:
    """
    :raises ValueError: the text names the lines that cannot be parsed, and quotes nothing.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        numbers = [number for number, _line in getattr(error, "errors", ())] or [
            getattr(error, "lineno", None)
        ]
        where = ", ".join("line %s" % number for number in numbers if number)
        raise ValueError(type(error).__name__ + (where and ", " + where)) from None
    return parser


def usual_files(environment: Mapping[str, str]) -> list[str]:
    """The paths of pip's configuration on Linux; later ones have precedence."""
    config = xdg(environment, "XDG_CONFIG_HOME", ".config")
    system = [
        os.path.join(path, "pip/pip.conf")
        for path in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
        if path
    ]
    own = environment.get("PIP_CONFIG_FILE")
    return [
        *system,
        "/etc/pip.conf",
        os.path.join(environment["HOME"], ".pip/pip.conf"),
        os.path.join(config, "pip/pip.conf"),
        *([own] if own else []),
    ]


def files_in(text: str) -> list[str]:
    """The files that C(pip config debug) lists, existing or not, in order of increasing
    precedence."""
    levels: dict[str, list[str]] = {}
    level = ""
    for line in text.splitlines():
        found = FILE.match(line)
        if found:
            levels.setdefault(level, []).append(found["path"])
        elif not line.startswith(" "):
            level = line.rstrip(":")
    return [path for level in LEVELS for path in levels.get(level, ())]


def settings_in_files(files: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """{option: value} of C(pip install): [install] has precedence over [global], variables over
    both.

    C(pip config list) does not help: it prints the values of all files, and not in order of
    precedence.

    :param files: paths, existing or not, in order of increasing precedence.
    :raises ValueError: pip cannot parse a file; the text begins with its path.
    """
    found = {}
    for path in files:
        try:
            with open(path, encoding="utf-8") as stream:
                found.update(options(stream.read()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except ValueError as error:
            raise ValueError("%s: %s" % (path, error)) from None
    merged: dict[str, str] = {}
    for effective in ("global", "install"):
        # an empty value counts as unset
        merged.update(
            (option, value)
            for (section, option), value in found.items()
            if section == effective and value
        )
    merged.update(
        (name[4:].lower().replace("_", "-"), value)
        for name, value in environment.items()
        if name.startswith("PIP_") and value
    )
    return merged


def is_true(value: str | None) -> bool:
    return str(value or "").strip().lower() in ("y", "yes", "t", "true", "on", "1")
