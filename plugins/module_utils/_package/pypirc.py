# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections of a .pypirc for indexes of swf_testbed_pip_indexes; other sections stay byte for
byte.

These sections come first, in a marked block: without it, the rest is the original file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common import ini_text
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.marked_block import (
    outside,
    set_block,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.pip_conf import parsed
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.target import (
    HEADING,
    refusal,
    section,
    section_name,
)

LIST = ("distutils", "index-servers")
# one block for all instances: a login has only one .pypirc
OWNER = "pypirc"


class PypircError(ValueError):
    """twine cannot parse the file either."""


def with_indexes(text: str, entries: list[dict[str, Any]]) -> str:
    """The text with one section per index that accepts uploads, and without those of earlier runs.

    :param entries: normalised indexes.
    :raises PypircError: the text names the line, and quotes nothing.
    """
    checked(text)
    entries = [entry for entry in entries if refusal(entry) is None]
    names = list(dict.fromkeys(section_name(entry) for entry in entries))
    rest = outside(text, OWNER)
    before = ini_text.sections(ini_text.lines_of(text[: len(text) - len(rest)]))
    lines = without_ours(ini_text.lines_of(rest), {*names, *before} - {LIST[0]})
    # this may add our names to an existing list, so it comes before the rest is joined
    block = listing_and_sections(lines, names, entries) if names else []
    result = set_block("".join(lines), OWNER, "".join(block))
    checked(result)
    return result


def checked(text: str) -> None:
    try:
        parsed(text)
    except ValueError as error:
        raise PypircError("twine cannot parse it either. Evidence: %s" % error) from None


def without_ours(lines: list[str], names: Iterable[str]) -> list[str]:
    """Lines without the sections of these names and those of earlier versions, which are also
    removed from the list of index servers."""
    ours = {
        name
        for name, (start, end) in ini_text.sections(lines).items()
        if name in names or marked(lines[start:end])
    }
    lines = without_sections(lines, ours)
    ours |= set(names)
    found = listed(lines)
    if found:
        gone = [
            number for number in range(found.first + 1, found.last) if lines[number].strip() in ours
        ]
        words = [word for word in found.values[0].split() if word in ours]
        lines[found.first] = ini_text.without_words(lines[found.first], words)
        lines = without_lines(lines, gone)
        found = listed(lines)
        if found and not found.words:
            lines = without_lines(lines, range(found.first, found.last))
    return lines


def listing_and_sections(
    lines: list[str], names: list[str], entries: list[dict[str, Any]]
) -> list[str]:
    """The new lines for the beginning of the file. An existing list gets our names at its end, in
    place."""
    new = []
    found = listed(lines)
    if found:
        add(lines, found.last, ["    %s\n" % name for name in names])
    elif LIST[0] in ini_text.sections(lines):
        add(
            lines,
            ini_text.sections(lines)[LIST[0]][0] + 1,
            ["index-servers =\n", *("    %s\n" % name for name in names)],
        )
    else:
        # without the list, twine has these two; with a list, only the listed ones
        implicit = [name for name in ("pypi", "testpypi") if name in ini_text.sections(lines)]
        new = [
            "[distutils]\n",
            "index-servers =\n",
            *("    %s\n" % name for name in implicit + names),
        ]
    return new + [section(entry) for entry in entries]


def listed(lines: list[str]) -> ini_text.Option | None:
    return next(
        (option for option in ini_text.options(lines) if (option.section, option.name) == LIST),
        None,
    )


def marked(lines: list[str]) -> bool:
    return any(line.rstrip("\r\n") == HEADING for line in lines)


def add(lines: list[str], place: int, new: list[str]) -> None:
    """Insert lines; after a last line without an end, that line gets one and the new last line has
    none."""
    if place == len(lines) and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
        new[-1] = new[-1].rstrip("\n")
    lines[place:place] = new


def without_lines(lines: list[str], unwanted: Iterable[int]) -> list[str]:
    unwanted = set(unwanted)
    open_end = bool(lines) and not lines[-1].endswith("\n") and len(lines) - 1 in unwanted
    left = ini_text.without_lines(lines, unwanted)
    if open_end and left:
        left[-1] = left[-1].rstrip("\r\n")
    return left


def without_sections(lines: list[str], names: Iterable[str]) -> list[str]:
    ranges = ini_text.sections(lines)
    return without_lines(lines, {number for name in names for number in range(*ranges[name])})
