# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our logins in a netrc file that belongs to somebody else."""

from __future__ import annotations

import netrc
import tempfile

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common import marked_block


class NetrcError(ValueError):
    """What is in the file cannot be read, or contradicts ours. The text quotes nothing: every word
    may be a password."""


def with_logins(text, owner, entries):
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
                "it has another login for %s, and that is not this collection's. Take it out" % host
            )
    result = marked_block.set_block(text, owner, entries)
    if logins_in(result) != dict(theirs, **ours):
        raise NetrcError("the logins in it would be read differently with ours before them")
    return result


def logins_in(text):
    """{host: (user name, password)}, as this Python reads the file, and pip with it.

    :raises NetrcError: naming the line.
    """
    before = ""
    for number, line in enumerate(text.split("\n"), start=1):
        # uv reads nothing of such a file, our login included
        if any("\udc80" <= character <= "\udcff" for character in line):
            raise NetrcError(
                "line %d is not UTF-8, and uv reads nothing of the file. Write it in UTF-8" % number
            )
        if line.lstrip().startswith("#") and before.endswith("\r"):
            raise NetrcError(
                "line %d is a comment after a line that ends as on Windows, and uv reads nothing "
                "of the file. Give its lines the ends of this system (sed -i 's/\\r$//')" % number
            )
        before = line
    try:
        found = read(text)
    except netrc.NetrcParseError as error:
        raise NetrcError(
            "pip cannot read it either, see line %d. Correct it" % line_of(error, text)
        ) from None
    return {host: (login[0], login[2]) for host, login in found.items()}


def read(text):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as scratch:
        scratch.write(text)
        scratch.flush()
        return netrc.netrc(scratch.name).hosts


def line_of(error, text):
    """The line that an error is about: where a word is the last of its line, the reader has counted
    one further."""
    before = "".join(text.splitlines(keepends=True)[: error.lineno - 1])
    try:
        read(before)
    except netrc.NetrcParseError:
        return error.lineno - 1
    return error.lineno
