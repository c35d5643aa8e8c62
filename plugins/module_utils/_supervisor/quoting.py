# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes strings so that supervisord reads them back unchanged from supervisord.conf, and refuses
those it cannot.

supervisord's reader cuts a line where a comment seems to begin, strips blanks, replaces %(here)s
and expands %; the value of environment= is then split by quotes that nothing can escape, and loses
quotes at either end.
"""

from __future__ import annotations

import re
import typing as t

_KEY = re.compile(r"[A-Za-z0-9_/.+():-]+")
_COMMENT = re.compile(r"\s[;#]")
_CONTINUATION = "\n    "


def escape(value: str) -> str:
    """A string as the value of any option.

    :raises ValueError: supervisord cannot read this string back; the text says why.
    """
    if value != value.strip():
        raise ValueError("it begins or ends with blanks, which supervisord takes away")
    if value[:1] in (";", "#"):
        raise ValueError("it begins with %r, which supervisord takes for a comment" % value[0])
    return _lines(value)


def environment(pairs: t.Mapping[str, str], section: str = "program") -> str:
    """Variables as the value of environment=.

    :param section: "program", or "supervisord" for the [supervisord] section, where % is expanded
        twice.
    :raises ValueError: supervisord cannot read a name or a value back; the text says which and why.
        The value itself is not in the text: it may be a secret.
    """
    items = []
    for name, value in pairs.items():
        if not _KEY.fullmatch(name):
            raise ValueError(
                "the name %r cannot be written: only letters, digits and _/.+():- are possible"
                % name
            )
        try:
            items.append("%s=%s" % (name, _quoted(value, section)))
        except ValueError as error:
            raise ValueError("the value of %s cannot be written: %s" % (name, error)) from None
    return ",".join(items)


def _quoted(value: str, section: str) -> str:
    if value[:1] in ("'", '"') or value[-1:] in ("'", '"'):
        raise ValueError("it begins or ends with a quote, which supervisord takes away")
    if "'" in value and '"' in value:
        raise ValueError("it has both kinds of quotes, and supervisord knows no way to escape one")
    quote = "'" if '"' in value else '"'
    value = _lines(value)
    if section == "supervisord":
        value = value.replace("%", "%%")
    return quote + value + quote


def _lines(value: str) -> str:
    if "\0" in value:
        raise ValueError("it has a NUL character")
    if "\r" in value:
        raise ValueError("it has a carriage return, which supervisord reads as a line feed")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("it has bytes that are not UTF-8")
    if "%(here)s" in value:
        raise ValueError("it has '%(here)s', which supervisord replaces even if the % is doubled")
    if _COMMENT.search(value):
        raise ValueError("it has a ';' or '#' after a blank, which supervisord takes for a comment")
    lines = value.split("\n")
    for number, line in enumerate(lines):
        # The ends of the whole value are of no concern here: other text stands there, or escape()
        # has seen to them.
        if (number > 0 and line != line.lstrip()) or (
            number < len(lines) - 1 and line != line.rstrip()
        ):
            raise ValueError(
                "a line in it begins or ends with blanks, which supervisord takes away"
            )
    return _CONTINUATION.join(lines).replace("%", "%%")
