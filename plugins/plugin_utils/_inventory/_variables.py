# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the roles: their specifications, their defaults, and the names that plays set."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible.template import Templar

try:
    # since ansible-core 2.19, only trusted text is a template
    from ansible.template import trust_as_template

    #: options of a templar with which a text stays a text, even if it looks like a list or a dict
    AS_TEXT: dict[str, Any] = {}

    def templar_of(templar: Any, variables: Mapping[str, Any]) -> Any:
        """A copy of the templar with other variables."""
        return templar.copy_with_new_env(available_variables=variables)

except ImportError:
    AS_TEXT = {"convert_data": False}

    def trust_as_template(text: str) -> str:
        return text

    def templar_of(templar: Any, variables: Mapping[str, Any]) -> Any:
        # a copy would not do: its lookups use the original variables, and would generate secrets
        return Templar(loader=templar._loader, variables=variables)


ROLES = Path(__file__).resolve().parents[3] / "roles"
PREFIX = "swf_testbed_"
#: the lookup secret returns this in check mode for a secret that does not exist yet
GENERATED_LATER = "0" * 40
#: registered results, facts, -e variables and role variables that our own plays share;
#: tests/unit/plugins/plugin_utils/test_unknown.py compares them with the roles
INTERNAL = re.compile(
    PREFIX + r"((ex|im)port_secrets_(file|force)|credentials_file|release|release_files|info|logs"
    r"|layout|layout_\w*|platform|packager|distribution|called|roles|programs|stack_health|stack_needs"
    r"|database_address|redis_configuration|ca_pem|web_group|secret_names"
    r"|gate|gate_failed|removed|restored|not_restored|secrets|secrets_in_doubt|snapshots|all_snapshots"
    r"|index_access|reached|missing|former_database|broker_info|namespace_owner"
    r"|(index|database|broker|redis|monitor)_(secrets|restored)|database_role|database_role_restored"
    r"|current|differs|all_differ)"
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
    """{name: option} of all roles that an inventory has variables for."""
    return {
        name: option
        for role in roles()
        if not role.startswith("_")
        for name, option in options_of(role).items()
    }


@functools.cache
def defaults() -> dict[str, Any]:
    """The defaults of the roles, and the variables that these refer to, as templates."""
    found = {}
    for path in ("vars/main.yml", "defaults/main.yml"):
        for role in roles():
            if (ROLES / role / path).exists():
                found.update(trusted(read(role, path)))
    return found


def trusted(value: Any) -> Any:
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    return [trusted(item) for item in value] if isinstance(value, list) else value


def nearest(name: str, names: Iterable[str], cutoff: float = 0.0) -> str | None:
    """The known name that is most similar to this one, or None."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=cutoff)
    return found[0] if found else None
