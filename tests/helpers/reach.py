# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables of the roles can have a secret in their value, read from the expressions that
they are made of."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
# what makes or reads a secret
LOOKUPS = re.compile(r"bnlnpps\.swf_testbed\.(secret|host_certificate)\b")
# the certificate of a key is public, and so are names of users and paths of files
PUBLIC = re.compile(r"\b\w+\.certificate\b")
HARMLESS = re.compile(r"^.*\bmap\(attribute='(?:name|dest|login)'\)", re.DOTALL)


def load(path):
    return yaml.safe_load(path.read_text()) or {}


def files(pattern):
    return sorted(ROOT.glob(pattern))


def texts(value):
    """Every text in a value of YAML."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def expressions(value):
    for text in texts(value):
        for expression in re.findall(r"\{\{.*?\}\}(?!\})|\{%.*?%\}", text, re.DOTALL):
            yield PUBLIC.sub("", HARMLESS.sub("", expression))


def names(expression):
    """The variables of an expression, those too that a lookup takes by their names."""
    by_name = re.findall(r"builtin\.vars',\s*'(\w+)'", expression)
    return {
        *by_name,
        *re.findall(r"(?<![.\w])[A-Za-z_]\w*", re.sub(r"'[^']*'|\"[^\"]*\"", "''", expression)),
    }


def tasks(items):
    """The tasks of a file, those in blocks and plays too."""
    for item in items:
        inner = [
            key
            for key in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers")
            if key in item
        ]
        for key in inner:
            yield from tasks(item[key])
        if not inner:
            yield item


def all_tasks():
    for pattern in ("roles/*/tasks/*.yml", "playbooks/*.yml", "playbooks/tasks/*.yml"):
        for path in files(pattern):
            for task in tasks(load(path)):
                yield path.relative_to(ROOT), task


def secret_options():
    """The options of the roles that are secrets themselves."""
    for path in files("roles/*/meta/argument_specs.yml"):
        for entry in load(path)["argument_specs"].values():
            yield from (name for name, option in entry["options"].items() if holds_secret(option))


def holds_secret(option):
    return bool(option.get("no_log")) or any(
        holds_secret(inner) for inner in (option.get("options") or {}).values()
    )


def secret_bearing():
    """The names of the variables whose value can have a secret in it."""
    made_of = {}
    for pattern in ("roles/*/defaults/main.yml", "roles/*/vars/main.yml"):
        for path in files(pattern):
            for name, value in load(path).items():
                made_of.setdefault(name, []).extend(expressions(value))
    for _path, task in all_tasks():
        for name, value in (task.get("vars") or {}).items():
            made_of.setdefault(name, []).extend(expressions(value))
    found = {
        *secret_options(),
        *(name for name, parts in made_of.items() if any(LOOKUPS.search(part) for part in parts)),
    }
    while True:
        more = {
            name
            for name, parts in made_of.items()
            if name not in found and any(names(part) & found for part in parts)
        }
        if not more:
            return found
        found |= more


SECRET_BEARING = secret_bearing()


def reaches_secret(value):
    return any(
        LOOKUPS.search(expression) or names(expression) & SECRET_BEARING
        for expression in expressions(value)
    )
