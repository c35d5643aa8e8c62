# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML files of the collection whose text is Jinja: the stack, and what the roles of services say
of their service. Plugins read them, so that each fact has one place."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables

ROOT = Path(__file__).resolve().parents[2]
STACK = ROOT / "stacks/reference.yml"


@functools.cache
def read(path: Path) -> Any:
    """A file with its text marked as templates."""
    return _variables.trusted(yaml.safe_load(path.read_text(encoding="utf-8")))


def rendered(value: Any, templar: Any, variables: dict[str, Any]) -> Any:
    """A part of such a file with its templates replaced.

    :param templar: the templar of an action or a lookup.
    :param variables: of the host; what they do not have, the defaults of the roles have.
    """
    everything = dict(_variables.defaults(), **variables)
    return _variables.templar_of(templar, everything).template(value)


def component_names() -> list[str]:
    return [component["name"] for component in read(STACK)["components"]]


def packages() -> list[str]:
    """The distributions with programs, each once."""
    return list(dict.fromkeys(component["package"] for component in read(STACK)["components"]))


def distributions() -> list[str]:
    """The packages, and the libraries that only they need."""
    return read(STACK)["libraries"] + packages()


def listeners() -> list[dict[str, Any]]:
    """Where the components listen, as the option ``ports`` of the module preflight has it."""
    return [
        dict(component["listens"], name=component["name"])
        for component in read(STACK)["components"]
        if "listens" in component
    ]


def environment() -> dict[str, Any]:
    """What every program gets."""
    return read(STACK)["environment"]


def programs() -> list[dict[str, Any]]:
    """The components as programs of supervisord."""
    return [
        {key: item for key, item in component.items() if key not in ("package", "listens")}
        for component in read(STACK)["components"]
    ]


def without_empty(environment: dict[str, Any]) -> dict[str, Any]:
    """An environment without the variables whose value is empty."""
    return {name: value for name, value in environment.items() if value not in ("", None)}


def services() -> list[dict[str, Any]]:
    """What the roles of services say of their service, in meta/service.yml."""
    return [read(path) for path in sorted(ROOT.glob("roles/*/meta/service.yml"))]
