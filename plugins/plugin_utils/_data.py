# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML files of the collection whose text is Jinja, such as what the roles of services say of their
service. Plugins read them, so that each fact has one place."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def read(path: Path) -> Any:
    """A file with its text marked as templates."""
    return _variables.trusted(yaml.safe_load(path.read_text(encoding="utf-8")))


def rendered(value: Any, templar: Any, variables: dict[str, Any], **options: Any) -> Any:
    """A part of such a file with its templates replaced.

    :param templar: the templar of an action or a lookup.
    :param variables: of the host; what they do not have, the defaults of the roles have.
    :param options: of the templar.
    """
    everything = dict(_variables.defaults(), **variables)
    return _variables.templar_of(templar, everything).template(value, **options)


def without_empty(environment: dict[str, Any]) -> dict[str, Any]:
    """An environment without the variables whose value is empty."""
    return {name: value for name, value in environment.items() if value not in ("", None)}


def services() -> dict[str, dict[str, Any]]:
    """{role: what it says of its service, in meta/service.yml}."""
    return {
        path.parents[1].name: read(path) for path in sorted(ROOT.glob("roles/*/meta/service.yml"))
    }
