# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of one host, each worked out when it is asked for. This is the only place that
deals with templates."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.plugins.loader import lookup_loader

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _known
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem

# what is known only after a host was asked: facts, and what the roles work out of them
LATER = re.compile(r"ansible_|__|role_path|" + _known.INTERNAL.pattern)
UNDEFINED = re.compile(r"'(\w+)' is undefined")


UNKNOWN = object()


class Unknown(Exception):
    """The value cannot be worked out, or not yet."""


class Values:
    """What a host's variables are worth.

    :param variables: of the host, as Ansible collected them. Templates in them are not worked out
        yet.
    :param templar: of the action plugin.
    :param read: a function that returns the text of a file of the controller, decrypted if need be;
        it raises AnsibleError.
    """

    def __init__(
        self, variables: Mapping[str, Any], templar: Any, read: Callable[[str], str] | None = None
    ) -> None:
        self.variables, self.read = variables, read
        # as in a check run: what would be generated at its first use, a secret for example, is not
        everything = dict(_known.defaults(), **dict(variables, ansible_check_mode=True))
        self._templar = _known.templar_of(templar, everything)
        self._raw, self._found = everything, {}
        self.problems = []
        self._names = None
        self.groups = set(variables.get("group_names") or ())

    def restrict(self, roles: Iterable[str]) -> None:
        """Leave out what only other roles read: on this host it may be made of what this host does
        not have."""
        self._names = {name for role in roles for name in _known.options_of(role)}

    def given(self, name: str) -> bool:
        """Whether somebody set the variable. Defaults are the collection's own, and tested with
        it."""
        return (self._names is None or name in self._names) and self.is_set(name)

    def is_set(self, name: str) -> bool:
        """Whether somebody set the variable, for whatever role."""
        if name not in self.variables:
            return False
        try:
            return self.variables[name] != _known.defaults().get(name)
        except AnsibleError:
            # a vaulted text, and no password to compare it with
            return True

    def members(self, group: str) -> list[str]:
        return (self.variables.get("groups") or {}).get(group) or []

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The value, or ``otherwise`` where it cannot be worked out."""
        try:
            return self[name]
        except Unknown:
            return otherwise

    def text(self, name: str) -> str:
        """The value if it is text, and "" else: what is wrong with the type is said by the check of
        types."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int | None:
        """The value as a whole number, None if it is none."""
        return whole(self.get(name))

    def truth(self, name: str) -> bool:
        value = self.get(name)
        return value.lower() in TRUE if isinstance(value, str) else bool(value)

    def entries(self, name: str) -> list[Any]:
        """The value's items if it is a list. Where a part of it is known only later, the others are
        there all the same.

        Of a default with dictionaries only what is no template: a check of the collection's own
        programs needs their names alone, and to work out the rest takes most of the time.
        """
        raw = self._raw.get(name)
        if not self.given(name) and isinstance(raw, list) and raw and isinstance(raw[0], dict):
            return [
                {key: item for key, item in entry.items() if not is_template(item)} for entry in raw
            ]
        value = self.get(name, UNKNOWN)
        if value is UNKNOWN:
            value = self._known_parts(raw)
        return value if isinstance(value, list) else []

    def _known_parts(self, raw: Any) -> Any:
        if isinstance(raw, dict):
            parts = {key: self._known_parts(item) for key, item in raw.items()}
            return {key: item for key, item in parts.items() if item is not UNKNOWN}
        if isinstance(raw, list):
            return [item for item in map(self._known_parts, raw) if item is not UNKNOWN]
        try:
            return plain(self._templar.template(raw))
        except AnsibleError:
            return UNKNOWN

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = self._work_out(name)
        value = self._found[name]
        if isinstance(value, Unknown):
            raise value
        return value

    def _work_out(self, name: str) -> Any:
        if name not in self._raw:
            return Unknown(name)
        try:
            return plain(self._templar.template(self._raw[name]))
        except AnsibleUndefinedVariable as error:
            missing = UNDEFINED.search(str(error))
            if missing and not LATER.match(missing[1]) and self.given(name):
                self.problems.append(
                    Problem(
                        name,
                        "cannot be worked out",
                        "%s is undefined" % missing[1],
                        "define %s, or correct its name in %s" % (missing[1], name),
                    )
                )
        except AnsibleError as error:
            if self.given(name):
                # the text of a template has no secret in it, and the error of a lookup or vault
                # none either
                self.problems.append(
                    Problem(
                        name,
                        "cannot be worked out",
                        " ".join(str(error).split())[:300].rstrip("."),
                        "correct it, and see what it is made of: ansible-inventory --host HOST",
                    )
                )
        return Unknown(name)


def reader(loader: Any, templar: Any) -> Callable[[str], str]:
    """A function that reads a file of the controller, and decrypts it where a vault is used."""
    lookup = lookup_loader.get("ansible.builtin.file", loader=loader, templar=templar)
    return lambda path: lookup.run([os.path.abspath(path)], variables={}, rstrip=False)[0]


TRUE = frozenset(("true", "yes", "on", "y", "t", "1"))
FALSE = frozenset(("false", "no", "off", "n", "f", "0"))


def is_template(value: Any) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return (
        any(map(is_template, value.values() if isinstance(value, dict) else value))
        if isinstance(value, (dict, list))
        else False
    )


def whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return (
        int(value) if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value) else None
    )


def plain(value: Any) -> Any:
    """The value with vaulted texts decrypted: ansible-core before 2.19 hands them over as objects
    of their own."""
    if getattr(value, "__ENCRYPTED__", False):
        return value.data
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
