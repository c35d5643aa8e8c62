# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes strings so that supervisord reads them unchanged from supervisord.conf, and refuses strings
that it cannot read.

supervisord's reader removes comments, strips blanks, replaces %(here)s and expands %; then it
splits the value of environment= by quotes, which nothing can escape, and strips quotes at both
ends.
"""

from __future__ import annotations

import re
import typing as t

_KEY = re.compile(r"[A-Za-z0-9_/.+():-]+")
_COMMENT = re.compile(r"\s[;#]")
_CONTINUATION = "\n    "


def escape(value: t.Any) -> str:
    """A string or a number as the value of any option.

    :raises ValueError: supervisord cannot read this string; the text has the reason.
    """
    value = _text(value)
    if value != value.strip():
        raise ValueError("it begins or ends with blanks, which supervisord removes")
    if value[:1] in (";", "#"):
        raise ValueError("it begins with %r, which starts a comment for supervisord" % value[0])
    return _lines(value)


def environment(pairs: t.Mapping[str, t.Any], section: str = "program") -> str:
    """Variables as the value of environment=; each is a string or a number.

    :param section: "program", or "supervisord" for the [supervisord] section, where % is expanded
        twice.
    :raises ValueError: supervisord cannot read a name or a value; the text has the name and the
        reason, but not the value, which may be a secret.
    """
    items = []
    for name, value in pairs.items():
        if not _KEY.fullmatch(name):
            raise ValueError(
                "the name %r cannot be written: only letters, digits and _/.+():- are possible"
                % name
            )
        try:
            items.append("%s=%s" % (name, _quoted(_text(value), section)))
        except ValueError as error:
            raise ValueError("the value of %s cannot be written: %s" % (name, error)) from None
    return ",".join(items)


def _text(value: t.Any) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    raise ValueError(
        "it must be a string or a number, not %s: its form for the program (true or 1, for "
        "example) is unknown" % type(value).__name__
    )


def _quoted(value: str, section: str) -> str:
    if value[:1] in ("'", '"') or value[-1:] in ("'", '"'):
        raise ValueError("it begins or ends with a quote, which supervisord removes")
    if "'" in value and '"' in value:
        raise ValueError("it has both types of quotes, and supervisord cannot escape them")
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
        raise ValueError("it has '%(here)s', which supervisord replaces even with a double %")
    if _COMMENT.search(value):
        raise ValueError(
            "it has a ';' or '#' after a blank, which starts a comment for supervisord"
        )
    lines = value.split("\n")
    for number, line in enumerate(lines):
        # Not the ends of the whole value: escape() checks them, or other text surrounds it.
        if (number > 0 and line != line.lstrip()) or (
            number < len(lines) - 1 and line != line.rstrip()
        ):
            raise ValueError("a line in it begins or ends with blanks, which supervisord removes")
    return _CONTINUATION.join(lines).replace("%", "%%")
