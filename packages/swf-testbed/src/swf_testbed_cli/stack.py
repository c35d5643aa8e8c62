# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog of a testbed's programs: the stack file of the Ansible collection, or another one."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from swf_testbed_cli.errors import TestbedError

# What `swf-testbed init` cannot do: a deployment builds releases and runs commands.
ONLY_DEPLOYED = ("sources", "steps", "files")


def resource(*path: str) -> str:
    """The text of a file of this package."""
    return files("swf_testbed_cli").joinpath(*path).read_text(encoding="utf-8")


@functools.cache
def read_stack(path: Path | None = None) -> dict[str, Any]:
    """A stack with its templates: the reference stack, or that of a file. Raises TestbedError if
    the file has no components, or needs more than a folder has."""
    if path is None:
        stack: dict[str, Any] = yaml.safe_load(resource("stacks", "reference.yml"))
        return stack
    edit = f"edit {path}"
    try:
        stack = yaml.safe_load(path.read_text(encoding="utf-8"))
        for item in stack["components"]:
            program_of(item), item["name"], item["role"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())
        raise TestbedError(f"cannot read the stack file {path}: {text}", edit) from None
    except (TypeError, LookupError, AttributeError, ValueError) as error:
        cause = f"{path} is not a stack file: each component has a name, a role and a command"
        raise TestbedError(f"{cause} ({type(error).__name__}: {error})", edit) from None
    if unfit := ", ".join(_unfit(stack)):
        raise TestbedError(f"{path} cannot be set up in a folder: it has {unfit}", deploy(path))
    return stack


def program_of(component: Mapping[str, Any]) -> str:
    """The first word of a command."""
    return shlex.split(component["command"])[0]


def deploy(path: Path | None) -> str:
    """The command that sets up every stack."""
    return (
        "ansible-playbook bnlnpps.swf_testbed.site -i INVENTORY"
        f"   (with swf_testbed_stack: {path} in the inventory)"
    )


def _unfit(stack: Mapping[str, Any]) -> Iterator[str]:
    yield from (key for key in ONLY_DEPLOYED if stack.get(key))
    requires = stack.get("requires", {})
    if "postgresql" in requires and "sqlite" not in requires:
        yield "requires.postgresql without requires.sqlite"
    if requires.get("redis"):
        yield "requires.redis"
    where = stack.get("secrets_in", "file")
    for item in stack["components"]:
        secrets = item.get("secrets") or stack.get("secrets")
        if secrets and item.get("secrets_in", where) == "environment":
            yield f"secrets_in: environment ({item['name']})"


def name_of(role: str) -> str:
    """The name of the program of the reference stack with a role."""
    name: str = next(item["name"] for item in read_stack()["components"] if item["role"] == role)
    return name


def port_variable(component: Mapping[str, Any]) -> str | None:
    """The variable, such as SWF_MONITOR_PORT, that has the port of a program in a folder of an
    earlier version; None if it has no port."""
    listens = component.get("listens")
    return f"SWF_{listens['variable'].removeprefix('swf_testbed_').upper()}" if listens else None
