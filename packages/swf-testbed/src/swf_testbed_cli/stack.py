# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog of the testbed's programs, which is also that of the Ansible collection."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml


def resource(*path: str) -> str:
    """The text of a file of this package."""
    return files("swf_testbed_cli").joinpath(*path).read_text(encoding="utf-8")


@functools.cache
def read_stack() -> dict[str, Any]:
    """The catalog, with its templates."""
    stack: dict[str, Any] = yaml.safe_load(resource("stacks", "reference.yml"))
    return stack


def name_of(role: str) -> str:
    """The name of the program with a role."""
    name: str = next(item["name"] for item in read_stack()["components"] if item["role"] == role)
    return name


def port_variable(component: Mapping[str, Any]) -> str | None:
    """The variable, such as SWF_MONITOR_PORT, that has the port of a program in its environment;
    None if it has no port."""
    listens = component.get("listens")
    return f"SWF_{listens['variable'].removeprefix('swf_testbed_').upper()}" if listens else None
