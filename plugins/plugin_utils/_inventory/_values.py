# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of one host, each evaluated when it is read. Only this file handles templates."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.plugins.loader import lookup_loader

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem

# facts of a host, and variables that the roles compute from them
LATER = re.compile(r"ansible_|__|role_path|" + _variables.INTERNAL.pattern)
UNDEFINED = re.compile(r"'(\w+)' is undefined")


UNKNOWN = object()


class Unknown(Exception):
    """The value cannot be evaluated, or not yet."""


class Values:
    """The values of a host's variables.

    :param variables: of the host, as Ansible collected them. Their templates are not evaluated
        yet.
    :param templar: of the action plugin.
    :param read: a function that returns the text of a file on the controller, decrypted if
        necessary; it raises AnsibleError.
    """

    def __init__(
        self, variables: Mapping[str, Any], templar: Any, read: Callable[[str], str] | None = None
    ) -> None:
        self.variables, self.read = variables, read
        # as in check mode: no secret is generated when its variable is read
        everything = dict(_variables.defaults(), **dict(variables, ansible_check_mode=True))
        self._templar = _variables.templar_of(templar, everything)
        self._raw = everything
        self._found: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self._names: set[str] | None = None
        self.groups = set(variables.get("group_names") or ())

    def restrict(self, roles: Iterable[str]) -> None:
        """Ignore the variables of other roles: they may refer to variables that this host does not
        have."""
        self._names = {name for role in roles for name in _variables.options_of(role)}

    def given(self, name: str) -> bool:
        """Whether the inventory sets the variable. Defaults are tested with the collection."""
        return (self._names is None or name in self._names) and self.is_set(name)

    def is_set(self, name: str) -> bool:
        """Whether the inventory sets the variable, for any role."""
        if name not in self.variables:
            return False
        try:
            return self.variables[name] != _variables.defaults().get(name)
        except AnsibleError:
            # an encrypted text, and no password to compare it
            return True

    def given_value(self, name: str) -> Any:
        """The value if the inventory sets the variable, else None."""
        return self.get(name) if self.given(name) else None

    def given_items(self, name: str) -> Iterator[tuple[str, Any]]:
        """(``name[INDEX]``, item) of a list that the inventory sets."""
        for number, item in enumerate(self.entries(name) if self.given(name) else ()):
            yield "%s[%d]" % (name, number), item

    def members(self, group: str) -> list[str]:
        return (self.variables.get("groups") or {}).get(group) or []

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The value, or ``otherwise`` if it cannot be evaluated."""
        try:
            return self[name]
        except Unknown:
            return otherwise

    def text(self, name: str) -> str:
        """The value if it is text, else "": the check of types reports another type."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int | None:
        """The value as a whole number, None if it is not one."""
        return whole(self.get(name))

    def truth(self, name: str) -> bool:
        value = self.get(name)
        return value.lower() in TRUE if isinstance(value, str) else bool(value)

    def entries(self, name: str) -> list[Any]:
        """The items if the value is a list, without the parts that cannot be evaluated yet.

        A default with dictionaries is returned without templates: a check of the collection's own
        programs needs only their names, and evaluating the rest takes most of the time.
        """
        raw = self._raw.get(name)
        if not self.given(name) and isinstance(raw, list) and raw and isinstance(raw[0], dict):
            return [
                {key: item for key, item in entry.items() if not is_template(item)} for entry in raw
            ]
        value = self.get(name, UNKNOWN)
        if value is UNKNOWN:
            value = self._available_parts(raw)
        return value if isinstance(value, list) else []

    def _available_parts(self, raw: Any) -> Any:
        if isinstance(raw, dict):
            parts = {key: self._available_parts(item) for key, item in raw.items()}
            return {key: item for key, item in parts.items() if item is not UNKNOWN}
        if isinstance(raw, list):
            return [item for item in map(self._available_parts, raw) if item is not UNKNOWN]
        try:
            return plain(self._templar.template(raw))
        except AnsibleError:
            return UNKNOWN

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = self._evaluate(name)
        value = self._found[name]
        if isinstance(value, Unknown):
            raise value
        return value

    def _evaluate(self, name: str) -> Any:
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
                        "cannot be evaluated",
                        "%s is undefined" % missing[1],
                        "define %s, or correct its name in %s" % (missing[1], name),
                    )
                )
        except AnsibleError as error:
            if self.given(name):
                # neither a template nor the error of a lookup or vault contains a secret
                self.problems.append(
                    Problem(
                        name,
                        "cannot be evaluated",
                        " ".join(str(error).split())[:300].rstrip("."),
                        "correct it; this command shows its parts: ansible-inventory --host HOST",
                    )
                )
        return Unknown(name)


def reader(loader: Any, templar: Any) -> Callable[[str], str]:
    """A function that reads a file on the controller, and decrypts it if it is a vault file."""
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
    """The value with vault texts decrypted: ansible-core before 2.19 represents them as objects."""
    if getattr(value, "__ENCRYPTED__", False):
        return value.data
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
