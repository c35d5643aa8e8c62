# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types, choices and keys, as in the argument specifications of the roles.

Ansible's own check of an argument converts: the number 3.10 becomes the text "3.1", and the text
"false" becomes False. The expressions of the roles read the unconverted value, so this check
requires the exact type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import (
    HIDDEN,
    Problem,
    problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import (
    FALSE,
    TRUE,
    Unknown,
    Values,
    whole,
)

#: texts or numbers, for the check of sizes
SIZES = ("swf_testbed_log_max_bytes",)


def wrong_types(values: Values, roles: Iterable[str]) -> Iterator[Problem]:
    """Problems with the types of the variables of these roles that the inventory sets."""
    for name in sorted({name for role in roles for name in _variables.options_of(role)}):
        if values.given(name) and name not in SIZES:
            try:
                value = values[name]
            except Unknown:
                continue
            if value is None:
                yield Problem(
                    name,
                    "has no value",
                    "it is null",
                    'write a value ("" for an empty text), or remove the line',
                )
            else:
                yield from of_option(_variables.options()[name], value, name)


def of_option(option: dict[str, Any], value: Any, path: str) -> Iterator[Problem]:
    type_ = option["type"]
    visible = HIDDEN if has_secret(option) else value
    if type_ in ("str", "path"):
        yield from of_text(option, value, path, visible)
    elif type_ == "int" and whole(value) is None:
        yield problem(
            path,
            visible,
            "is not a whole number",
            "write a number without a decimal point and without quotes",
        )
    elif type_ == "float" and (isinstance(value, bool) or not is_number(value)):
        yield problem(path, visible, "is not a number", "write a number without quotes")
    elif type_ == "bool":
        yield from of_truth(value, path)
    elif type_ == "list":
        yield from of_list(option, value, path)
    elif type_ == "dict":
        yield from of_dict(option, value, path)


def of_text(option: dict[str, Any], value: Any, path: str, visible: Any) -> Iterator[Problem]:
    choices = option.get("choices")
    if choices and isinstance(value, bool) and {"true", "false"} <= set(choices):
        # autorestart: true
        return
    if isinstance(value, (bool, int, float)) or not isinstance(value, (str, list, dict)):
        # YAML converts 0123 to 83, 1e5 to 100000.0, 3.10 to 3.1 and off to false: the original text
        # is lost
        yield problem(
            path,
            visible,
            "is not text but %s"
            % ("true or false" if isinstance(value, bool) else "a number or a date"),
            'quote it: %s: "..."' % path.rpartition(".")[2].partition("[")[0],
        )
    elif not isinstance(value, str):
        yield Problem(path, "is not text", "it is " + type_of(value), "write a text")
    elif choices and value not in choices:
        yield problem(
            path,
            visible,
            "is not one of %s" % ", ".join(map(str, choices)),
            "write %s, or another one of them" % _variables.nearest(value, map(str, choices)),
        )


def of_truth(value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, bool) or value in (0, 1):
        return
    text = value.lower() if isinstance(value, str) else None
    # in a condition, every text counts as true
    if text in FALSE and not path.endswith("_secure_logging"):
        yield problem(
            path,
            value,
            "is a text, which counts as true in a condition",
            "write false without quotes; on a command line: -e '{\"%s\": false}'" % path,
        )
    elif text not in TRUE | FALSE:
        yield problem(
            path, value, "is neither true nor false", "write true or false, without quotes"
        )


def of_list(option: dict[str, Any], value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, list):
        fix = "write [a, b], or one item per line after a dash"
        yield Problem(
            path,
            "is not a list",
            "it is " + type_of(value),
            fix if "[" in path else ("%s; on a command line: -e '{\"%s\": [...]}'" % (fix, path)),
        )
        return
    inner = {
        "type": option.get("elements", "raw"),
        "options": option.get("options"),
        "choices": option.get("choices"),
        "no_log": option.get("no_log"),
    }
    for place, item in enumerate(value):
        where = "%s[%d]" % (path, place)
        if item is None:
            yield Problem(where, "has no value", "it is null", "remove the item, or write a value")
        else:
            yield from of_option(inner, item, where)


def of_dict(option: dict[str, Any], value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(
            path, "is not a dictionary", "it is " + type_of(value), "write KEY: VALUE, one per line"
        )
        return
    inner = option.get("options")
    if not inner:
        return
    for key in value:
        if key not in inner:
            yield Problem(
                "%s.%s" % (path, key),
                "is not a valid key",
                "the keys are %s" % ", ".join(sorted(inner)),
                "write %s, or remove it" % _variables.nearest(str(key), inner),
            )
    for key, below in inner.items():
        if value.get(key) is not None:
            yield from of_option(below, value[key], "%s.%s" % (path, key))
        elif below.get("required"):
            yield Problem(
                "%s.%s" % (path, key),
                "is missing",
                "%s has no %s" % (path, key),
                "add it: %s" % below["description"],
            )


def type_of(value: Any) -> str:
    """The type of a value that should have another one. Not the value, which may contain a
    secret."""
    types: tuple[tuple[Any, str], ...] = (
        (bool, "true or false"),
        (str, "a text"),
        ((int, float), "a number"),
        (list, "a list"),
        (dict, "a dictionary"),
    )
    return next((name for type_, name in types if isinstance(value, type_)), "something else")


def is_number(value: Any) -> bool:
    try:
        return float(value) == float(value)
    except (TypeError, ValueError):
        return False


def has_secret(option: dict[str, Any]) -> bool:
    return bool(option.get("no_log")) or any(
        has_secret(below) for below in (option.get("options") or {}).values()
    )
