# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that the roles have: their specifications, their defaults, and the names that plays
set themselves."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.template import Templar

try:
    # from ansible-core 2.19 on only text that is trusted is a template
    from ansible.template import trust_as_template

    def templar_of(templar: Any, variables: Mapping[str, Any]) -> Any:
        """A templar like this one, for other variables."""
        return templar.copy_with_new_env(available_variables=variables)

except ImportError:

    def trust_as_template(text: str) -> str:
        return text

    def templar_of(templar: Any, variables: Mapping[str, Any]) -> Any:
        # not a copy: lookups in it see the variables of the first one, and would generate secrets
        return Templar(loader=templar._loader, variables=variables)


ROLES = Path(__file__).resolve().parents[3] / "roles"
PREFIX = "swf_testbed_"
#: what the lookup secret returns in a check run for one that it would have to generate
GENERATED_LATER = "0" * 40
#: registered results, facts and -e variables of our own plays;
#: tests/unit/plugins/plugin_utils/test_unknown.py looks for them in the roles
INTERNAL = re.compile(
    PREFIX
    + r"((ex|im)port_secrets_(file|force)|release|configuration|info|logs|layout_\w*|gate|gate_failed"
    r"|removed|restored|not_restored|secrets|index_access|reached|missing|former_database"
    r"|(index|database|broker|monitor)_(secrets|restored)|database_role|database_role_restored)"
)


def read(role: str, path: str) -> Any:
    with open(ROLES / role / path, encoding="utf-8") as stream:
        return yaml.safe_load(stream) or {}


@functools.cache
def options_of(role: str) -> dict[str, dict[str, Any]]:
    """{name: option} of all entry points of a role."""
    entries = read(role, "meta/argument_specs.yml")["argument_specs"].values()
    return {name: option for entry in entries for name, option in (entry["options"] or {}).items()}


@functools.cache
def roles() -> list[str]:
    return sorted(path.parent.parent.name for path in ROLES.glob("*/meta/argument_specs.yml"))


@functools.cache
def options() -> dict[str, dict[str, Any]]:
    """{name: option} of all roles."""
    return {name: option for role in roles() for name, option in options_of(role).items()}


@functools.cache
def defaults() -> dict[str, Any]:
    """What the roles set by themselves, as templates: their defaults, and what these are made
    of."""
    found = {}
    for kind in ("vars/main.yml", "defaults/main.yml"):
        for role in roles():
            if (ROLES / role / kind).exists():
                found.update(trusted(read(role, kind)))
    return found


def trusted(value: Any) -> Any:
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    return [trusted(item) for item in value] if isinstance(value, list) else value


def nearest(name: str, known: dict[str, Any], cutoff: float = 0.0) -> str | None:
    """The known name that is most like this one, or None."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None
