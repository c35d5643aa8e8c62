# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services of a host are external, and where their credentials come from."""

from __future__ import annotations

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._variables import (
    GENERATED_LATER,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._used_services import (
    external,
    with_passwords,
)

STACK = _stack.Stack(_stack.load("reference"))
BROKER = {"name": "broker", "protocol": "stomp", "needed": True, "provider": ""}
DATABASE = {"name": "database", "protocol": "postgresql", "needed": "True", "provider": ""}
MONITOR = {"name": "monitor", "protocol": "http", "needed": True, "provider": "testbed"}


def hosts(**components):
    """Variables of a task, with the components of each host; None for all."""
    variables = {
        name: {} if value is None else {"swf_testbed_components": value}
        for name, value in components.items()
    }
    return {"groups": {"testbed": list(components)}, "hostvars": variables}


@pytest.mark.parametrize(
    "components, names",
    [
        # one host runs all
        ({"one": None}, ["database"]),
        # a developer's agents
        ({"mine": ["processing-agent"]}, ["broker", "database", "monitor"]),
        ({"one": ["broker", "monitor"], "two": ["data-agent"]}, ["database"]),
        ({"one": ["monitor"], "two": ["data-agent"]}, ["broker", "database"]),
    ],
)
def test_external_is_what_no_host_of_the_inventory_provides(components, names):
    found = external([BROKER, DATABASE, MONITOR], STACK, hosts(**components))
    assert [item["name"] for item in found] == names


@pytest.mark.parametrize(
    "change", [{"needed": "False"}, {"provider": "database"}, {"protocol": ""}]
)
def test_what_is_not_needed_or_provided_or_has_no_check_is_left_out(change):
    assert external([{**DATABASE, **change}], STACK, hosts(one=None)) == []


def test_credentials_are_read_for_what_is_needed():
    values = {"a": "canary", "later": GENERATED_LATER, "address": "redis://:%s@h" % GENERATED_LATER}
    items = [
        {"needed": True, "secret": "a"},
        {"needed": False, "secret": "a"},
        {"needed": True, "secret": "later"},
        {"needed": True, "secret": "address"},
        {"needed": True, "secret": "missing"},
        {"needed": True},
    ]
    found = with_passwords(items, values.get)
    assert [item.get("password") for item in found] == ["canary", None, None, None, None, None]
    # callback plugins see the arguments of the task
    assert "password" not in items[0]


def test_the_address_of_a_redis_is_in_its_url():
    item = {"needed": True, "secret": "url", "protocol": "redis", "host": "a", "port": 6379}
    (found,) = with_passwords([item], {"url": "rediss://u:canary@redis.example.org:7000/1"}.get)
    assert (found["host"], found["port"], found["tls"]) == ("redis.example.org", 7000, "on")
    (found,) = with_passwords([item], {"url": "redis://:canary@[::1]/0"}.get)
    assert (found["host"], found["port"], found["tls"]) == ("::1", 6379, "off")


def test_the_needs_of_the_stacks():
    for name in ("reference", "bnlnpps"):
        stack = _stack.Stack(_stack.load(name))
        assert stack.broker()["anycast"] and stack.broker()["multicast"]
        assert sum(stack.connections(stack.names())) >= 0
    assert sum(STACK.connections(["monitor", "monitor-listener"])) == 18
    # a pattern is for people and for Artemis
    (broker,) = [item for item in STACK.programs() if item["role"] == "broker"]
    assert "#" not in str(broker["environment"])
