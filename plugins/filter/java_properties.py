# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of a Java properties file, for example the users of the login modules of ActiveMQ and
Artemis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.text import not_text

NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
SPECIAL = set("\\=:#! ")


def escaped(text: str) -> str:
    """A key or a value in ASCII that C(java.util.Properties) reads back unchanged."""
    parts = []
    for character in text:
        if character in NAMED:
            parts.append(NAMED[character])
        elif character in SPECIAL:
            parts.append("\\" + character)
        elif " " < character <= "~":
            parts.append(character)
        else:
            # Java's characters have 16 bits: a larger code point is two of them
            units = character.encode("utf-16-be")
            parts += [
                "\\u%02x%02x" % (units[place], units[place + 1])
                for place in range(0, len(units), 2)
            ]
    return "".join(parts)


def java_properties(settings: Any) -> str:
    """Lines of the form key=value."""
    if not isinstance(settings, dict):
        raise AnsibleFilterError(
            "java_properties: the input must be a dictionary, not %s" % type(settings).__name__
        )
    for key, value in settings.items():
        problem = not_text("the value of %s" % key, value)
        if problem:
            raise AnsibleFilterError("java_properties: " + problem)
        # the login modules would try to decrypt it
        if str(value).startswith("ENC("):
            raise AnsibleFilterError(
                "java_properties: the value of %s starts with 'ENC(', the mark of an encrypted "
                "value. Fix: choose another password" % key
            )
    return "".join(
        "%s=%s\n" % (escaped(str(key)), escaped(str(value))) for key, value in settings.items()
    )


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"java_properties": java_properties}
