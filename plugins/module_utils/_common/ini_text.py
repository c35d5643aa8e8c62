# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ini files of other owners as lines, so that everything else stays byte for byte, comments
included."""

from __future__ import annotations

import configparser
import re
from collections.abc import Collection

# Python's own pattern of a heading, which differs between its versions
HEADING = configparser.RawConfigParser.SECTCRE
OPTION = re.compile(r"(?P<name>[^\s=:#;\[][^=:]*?)\s*[=:]\s*(?P<value>.*)")


def lines_of(text: str) -> list[str]:
    """The lines with their ends. As for readers of ini files, a form feed does not end a line."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


class Option:
    """An option with the continuation lines of its value. ``first`` and ``last`` are line numbers,
    the last excluded."""

    def __init__(self, section: str, name: str, first: int, value: str) -> None:
        self.section, self.name, self.values = section, name, [value]
        self.first, self.last = first, first + 1

    @property
    def words(self) -> list[str]:
        return " ".join(self.values).split()


def options(lines: list[str]) -> list[Option]:
    """All options, in file order."""
    found, section, current = [], None, None
    for number, line in enumerate(lines):
        heading, option = HEADING.match(line), OPTION.match(line)
        if heading:
            section, current = heading["header"], None
        elif line[:1].isspace() and line.strip() and current:
            if not line.strip().startswith(("#", ";")):
                current.values.append(line.strip())
                current.last = number + 1
        elif option and section:
            current = Option(section, option["name"].lower(), number, option["value"])
            found.append(current)
    return found


def sections(lines: list[str]) -> dict[str, tuple[int, int]]:
    """{name: (first line, line after the last)}. Comments right above a heading belong to no
    section."""
    headings = enumerate(map(HEADING.match, lines))
    starts = [(number, match["header"]) for number, match in headings if match]
    found = {}
    for (start, name), (end, _next) in zip(starts, starts[1:] + [(len(lines), None)]):
        while end < len(lines) and end - 1 > start and lines[end - 1].startswith(("#", ";")):
            end -= 1
        found[name] = (start, end)
    return found


def without_words(line: str, words: list[str]) -> str:
    """A line without some of its words; its other spacing stays."""
    for word in words:
        line = re.sub(r"\s*(?<!\S)%s(?!\S)" % re.escape(word), "", line)
    return line


def without_lines(lines: list[str], unwanted: Collection[int]) -> list[str]:
    return [line for number, line in enumerate(lines) if number not in unwanted]
