# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""This collection's logins in a netrc file that belongs to another owner."""

from __future__ import annotations

import netrc
import tempfile
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common import marked_block


class NetrcError(ValueError):
    """The file cannot be parsed, or has another login for a host. The text quotes nothing: every
    word may be a password."""


def with_logins(text: str, owner: str, entries: str) -> str:
    """The text with these logins.

    :param text: with surrogates for bytes that are not UTF-8.
    :param entries: as of :func:`configuration.netrc`.
    :raises NetrcError, BlockError:
    """
    rest = marked_block.outside(text, owner)
    theirs = logins_in(rest)
    ours = {words[1]: (words[3], words[5]) for words in map(str.split, entries.splitlines())}
    for host, login in ours.items():
        if theirs.get(host, login) != login:
            raise NetrcError(
                "it has another login for %s, which this collection did not write. Fix: remove it"
                % host
            )
    result = marked_block.set_block(text, owner, entries)
    if logins_in(result) != dict(theirs, **ours):
        raise NetrcError("its logins would be read differently after a new block")
    return result


def logins_in(text: str) -> dict[str, tuple[str, str]]:
    """{host: (user name, password)}, as this Python and pip read the file.

    :raises NetrcError: naming the line.
    """
    before = ""
    for number, line in enumerate(text.split("\n"), start=1):
        # uv ignores the whole file in these cases
        if any("\udc80" <= character <= "\udcff" for character in line):
            raise NetrcError(
                "line %d is not UTF-8, and uv ignores the whole file. Fix: write it in UTF-8"
                % number
            )
        if line.lstrip().startswith("#") and before.endswith("\r"):
            raise NetrcError(
                "line %d is a comment after a line with a Windows line end, and uv ignores the "
                "whole file. Fix: convert the line ends (sed -i 's/\\r$//')" % number
            )
        before = line
    try:
        found = read(text)
    except netrc.NetrcParseError as error:
        raise NetrcError(
            "pip cannot parse it either. Evidence: line %d. Fix: correct that line"
            % line_of(error, text)
        ) from None
    return {host: (login[0], login[2]) for host, login in found.items()}


def read(text: str) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as scratch:
        scratch.write(text)
        scratch.flush()
        return netrc.netrc(scratch.name).hosts


def line_of(error: netrc.NetrcParseError, text: str) -> int:
    """The line number of an error: if a word is the last of its line, the parser reports the next
    line."""
    number = error.lineno or 1
    before = "".join(text.splitlines(keepends=True)[: number - 1])
    try:
        read(before)
    except netrc.NetrcParseError:
        return number - 1
    return number
