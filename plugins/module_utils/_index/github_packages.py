# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of GitHub Packages in pip.conf and .pypirc. It has no registry for Python packages: all
its addresses answer 404.

Findings name section and option, never the value: these addresses contain tokens.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common import ini_text
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import xdg

GITHUB = re.compile(r"(^|[/@.])(pypi|npm|maven)\.pkg\.github\.com(?=[:/]|$)", re.IGNORECASE)


def in_pip_conf(text: str) -> list[str]:
    """The options of a pip.conf that name GitHub Packages, as ``[section] option``."""
    found = ini_text.options(ini_text.lines_of(text))
    return ["[%s] %s" % (option.section, option.name) for option in found if of_github(option)]


def in_pypirc(text: str) -> list[str]:
    """The sections of a .pypirc whose repository is GitHub Packages, as ``[section]``."""
    return ["[%s]" % name for name in repositories(ini_text.lines_of(text))]


def places(environment: Mapping[str, str]) -> list[tuple[str, Callable[[str], list[str]]]]:
    """The files of a login and of the host to search, each with its search function."""
    home, config = environment["HOME"], xdg(environment, "XDG_CONFIG_HOME", ".config")
    confs = [
        os.path.join(config, "pip", "pip.conf"),
        os.path.join(home, ".pip", "pip.conf"),
        "/etc/pip.conf",
    ]
    return [*((path, in_pip_conf) for path in confs), (os.path.join(home, ".pypirc"), in_pypirc)]


def found_in(
    environment: Mapping[str, str], read: Callable[[str], str]
) -> Iterator[tuple[str, list[str]]]:
    """Pairs of a path and the settings in it that name GitHub Packages. Unreadable files are
    skipped."""
    for path, look in places(environment):
        try:
            hits = look(read(path))
        except (OSError, UnicodeDecodeError):
            continue
        if hits:
            yield path, hits


def of_github(option: ini_text.Option) -> bool:
    return any(GITHUB.search(word) for word in option.words)


def repositories(lines: list[str]) -> list[str]:
    return [
        option.section
        for option in ini_text.options(lines)
        if option.name == "repository" and of_github(option)
    ]


def without_github(text: str) -> str:
    """The text of a pip.conf or .pypirc without GitHub Packages; everything else stays.

    A section for such a repository is removed with its token and its name in C(index-servers). Of
    an option with several addresses only those of GitHub Packages are removed.
    """
    lines = ini_text.lines_of(text)
    gone = repositories(lines)
    ranges = ini_text.sections(lines)
    unwanted = {number for name in gone for number in range(*ranges[name])}
    for option in ini_text.options(lines):
        words = [word for word in option.words if GITHUB.search(word)]
        if option.section == "distutils" and option.name == "index-servers":
            words = [word for word in option.words if word in gone]
        if not words:
            continue
        numbers = range(option.first, option.last)
        if len(words) == len(option.words):
            unwanted.update(numbers)
            continue
        for number in numbers:
            lines[number] = ini_text.without_words(lines[number], words)
            if not lines[number].strip():
                unwanted.add(number)
    return "".join(ini_text.without_lines(lines, unwanted))
