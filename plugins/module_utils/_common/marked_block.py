# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A marked block at the beginning of a text file that belongs to another owner.

At the beginning, the block and the rest of the file cannot merge: not through a last line without
its end, a macro of a netrc file, or a table of a TOML file. The rest stays byte for byte, and is
the whole file again once the block is removed.
"""

from __future__ import annotations

import re

BEGIN, END = "# BEGIN bnlnpps.swf_testbed %s", "# END bnlnpps.swf_testbed %s"


class BlockError(ValueError):
    """A block has no end; the text names the line."""


def set_block(text: str, owner: str, content: str) -> str:
    """The text with the owner's block at its beginning, or without the block if the content is
    empty."""
    rest = outside(text, owner)
    block = (BEGIN % owner, *content.splitlines(), END % owner) if content else ()
    return "".join(line + "\n" for line in block) + rest


def outside(text: str, owner: str) -> str:
    """The text without the owner's blocks.

    Earlier versions appended a block to the end of the file: after a last line without an end, and
    then again in each run.

    :raises BlockError:
    """
    begin, end = re.escape(BEGIN % owner), re.escape(END % owner)
    rest = re.sub(r"%s\r?\n.*?%s(\r?\n|\Z)" % (begin, end), "", text, flags=re.DOTALL)
    left = re.search(r"(%s|%s)\r?$" % (begin, end), rest, re.MULTILINE)
    if left:
        raise BlockError(
            "line %d is one of the marks of a block of this collection, and its counterpart is "
            "missing. Fix: remove the lines of the block"
            % (text.count("\n", 0, text.index(left.group(1))) + 1)
        )
    return rest
