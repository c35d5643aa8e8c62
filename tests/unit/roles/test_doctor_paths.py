# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor looks at what the roles place, and the roles say where that is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
FILES = ("placed", "certificate", "key")


def variables(role):
    found = {}
    for name in ("defaults", "vars"):
        path = ROLES / role / name / "main.yml"
        if path.exists():
            found.update(yaml.safe_load(path.read_text()))
    return found


def destinations(value):
    """Every dest in a role's variables."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "dest":
                yield item
            yield from destinations(item)
    elif isinstance(value, list):
        for item in value:
            yield from destinations(item)


def resolved(text, resolvable):
    """A path with the variables of its role in it worked out, as far as they are plain text."""
    for _depth in range(3):
        for name, value in resolvable.items():
            if isinstance(value, str):
                text = text.replace("{{ %s }}" % name, value)
    return text


@pytest.mark.parametrize(
    "service", variables("doctor")["__doctor_services"], ids=lambda service: service["part"]
)
def test_paths_are_those_of_the_role(service):
    part = {"monitor": "monitor_proxy"}.get(service["part"], service["part"])
    resolvable = dict(variables(part), __database_version="*")
    placed = {resolved(path, resolvable) for path in destinations(list(resolvable.values()))}
    for name in FILES:
        path = service[name] if "{{" not in service[name] else service[name].split("'")[1]
        assert path in placed, (name, sorted(placed))


def test_the_units_are_those_of_the_roles():
    units = {
        service["part"]: service["unit"] for service in variables("doctor")["__doctor_services"]
    }
    assert "unit: %s" % units["broker"] in (ROLES / "broker/tasks/run.yml").read_text()
    assert "unit: %s" % units["monitor"] in (ROLES / "monitor_proxy/tasks/run.yml").read_text()
    assert (
        resolved(variables("database")["__database_unit"], {"__database_version": "*"})
        == units["database"]
    )


@pytest.mark.parametrize(
    "ours,role,theirs",
    [
        ("certificate_names", "package_index", "swf_testbed_package_index_names"),
        ("names", "broker", "swf_testbed_broker_names"),
        ("names", "database", "swf_testbed_database_names"),
        ("names", "monitor_proxy", "swf_testbed_monitor_proxy_names"),
        ("listen", "broker", "swf_testbed_broker_listen"),
        ("listen", "database", "swf_testbed_database_listen"),
        ("listen", "monitor_proxy", "swf_testbed_monitor_proxy_listen"),
        ("port", "monitor_proxy", "swf_testbed_monitor_proxy_port"),
    ],
)
def test_fallbacks_are_the_defaults_of_the_roles(ours, role, theirs):
    """The doctor does not run these roles, and so does not know their defaults."""
    doctor = variables("doctor")
    items = doctor["__doctor_instances"] + doctor["__doctor_services"]
    (item,) = (
        item
        for item in items
        if item["part"] == {"package_index": "index", "monitor_proxy": "monitor"}.get(role, role)
    )
    bare = str.maketrans("", "", "[]{}'\" ")
    default, text = str(variables(role)[theirs]).translate(bare), str(item[ours]).translate(bare)
    assert "%s|default(%s" % (theirs, default) in text
