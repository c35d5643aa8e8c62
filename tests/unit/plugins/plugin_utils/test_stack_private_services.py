# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host runs PostgreSQL and Redis for itself, and what its programs then get."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.bnlnpps.swf_testbed.plugins.lookup import stack as lookup
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _data, _stack
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import (
    _private_services,
    _variables,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

STACK = """
title: A stack that needs both services
requires: {python: "3.10", postgresql: "14", redis: true}
secrets_in: environment
components:
  - {name: monitor, role: monitor, command: run, secrets: {DB_PASSWORD: database_password, REDIS_URL: redis_url},
     environment: {DB_HOST: "{{ swf_testbed_database_address }}"}}
  - {name: listener, role: listener, command: listen, secrets: {DB_PASSWORD: database_password}}
  - {name: agent, role: agent, command: work}
"""
LAYOUT = {
    "run_dir": "/h/run",
    "state_dir": "/h/state",
    "secrets_dir": "/h/secrets",
    "readable_secrets_dir": "/h/secrets",
    "postgresql": "/usr/lib/postgresql/15/bin",
    "redis": "/usr/bin/redis-server",
}


@pytest.fixture(name="path")
def a_stack_file(tmp_path):
    path = tmp_path / "stack.yml"
    path.write_text(STACK)
    return path


@pytest.fixture(name="look_up")
def the_lookup(path):
    def look_up(term, **more):
        variables = {
            "swf_testbed_stack": str(path),
            "swf_testbed_layout": LAYOUT,
            "swf_testbed_redis_password": 'a/b:c"d\\e',
            "swf_testbed_database_password": "p",
            "swf_testbed_components": ["monitor", "listener", "agent"],
            # those of roles whose lookup a unit test does not find
            "swf_testbed_roles": ["database", "cache"],
            **more,
        }
        templar = Templar(loader=DataLoader(), variables=variables)
        plugin = lookup.LookupModule(loader=DataLoader(), templar=templar)
        plugin.set_options = lambda **_options: None
        (found,) = plugin.run([term], variables)
        return found

    return look_up


def test_a_host_with_their_clients_runs_both(look_up):
    assert look_up("extra") == ["postgresql", "redis"]
    assert {"database", "cache"} <= set(look_up("roles"))
    ready = {item["name"]: item["ready"] for item in look_up("services")}
    assert ready["postgresql"].startswith("/usr/lib/postgresql/15/bin/pg_isready -q -h /h/run")
    assert ready["redis"] == "/usr/bin/redis-cli -s /h/run/redis.sock PING"
    assert look_up("secrets") == ["database_password", "redis_url", "redis_configuration"]


def test_a_host_without_clients_runs_neither(look_up):
    assert look_up("extra", swf_testbed_components=["agent"]) == []
    assert look_up("services", swf_testbed_components=["agent"]) == []
    assert look_up("roles", swf_testbed_components=["agent"]) == ["agent"]
    assert look_up("extra", swf_testbed_components=["listener"]) == ["postgresql"]


@pytest.mark.parametrize(
    "variables,expected",
    [
        ({"swf_testbed_database_host": "db.example.org"}, ["redis"]),
        ({"swf_testbed_redis_host": "::1"}, ["postgresql"]),
        ({"swf_testbed_scope": "system"}, []),
    ],
)
def test_a_server_of_the_inventory_or_system_scope_leave_none(look_up, variables, expected):
    assert look_up("extra", **variables) == expected


def test_an_own_component_can_be_a_client(look_up):
    own = [{"name": "mine", "command": "x", "secrets": {"REDIS_URL": "redis_url"}}]
    found = look_up("extra", swf_testbed_components=[], swf_testbed_extra_components=own)
    assert found == ["mine", "redis"]


def test_the_programs_start_first_and_stop_last_and_have_no_secret_on_their_command_lines(look_up):
    programs = {item["name"]: item for item in look_up("programs")}
    database, cache = programs["postgresql"], programs["redis"]
    assert database["command"].startswith("/usr/lib/postgresql/15/bin/postgres -D /h/state/postgr")
    assert database["stopsignal"] == "INT" and database["priority"] < cache["priority"] < 100
    assert cache["command"].split()[:2] == [
        "/usr/bin/redis-server",
        "/h/secrets/redis_configuration",
    ]
    # not launched with the secrets of all programs
    assert "launch" not in database and "launch" not in cache
    assert not {"host", "clients", "ready", "secrets"} & {*database, *cache}
    assert programs["monitor"]["environment"]["DB_HOST"] == "/h/run"
    assert "REDIS_URL=/h/secrets/redis_url" in programs["monitor"]["launch"]


def test_the_secrets_are_in_the_form_that_their_readers_take(look_up):
    files = {item["dest"]: item["content"] for item in look_up("secret_files")}
    assert files["/h/secrets/redis_url"] == "unix://:a%2Fb%3Ac%22d%5Ce@/h/run/redis.sock?db=0"
    assert files["/h/secrets/redis_configuration"] == 'requirepass "a/b:c\\"d\\\\e"'
    files = {
        item["dest"]: item["content"]
        for item in look_up("secret_files", swf_testbed_redis_host="2001:db8::1")
    }
    assert files["/h/secrets/redis_url"].endswith("@[2001:db8::1]:6379/0")


def test_the_reference_stack_has_none(look_up):
    assert look_up("extra", swf_testbed_stack="reference") == []
    assert "database_password" not in look_up("secrets", swf_testbed_stack="reference")


@pytest.mark.parametrize("text", ["{name: redis, role: tool, command: x}", "%s" % "DB"])
def test_a_stack_cannot_have_their_names_or_an_address_that_is_empty(path, text):
    if text == "DB":
        path.write_text(STACK.replace("database_address", "database_host"))
    else:
        path.write_text(STACK + "  - %s\n" % text)
    with pytest.raises(_stack.StackError) as error:
        _stack.load(str(path))
    expected = "write swf_testbed_database_address" if text == "DB" else "have one name twice"
    assert expected in str(error.value)


def problems(path, hosts=("a",), **variables):
    everything = {
        "group_names": ["testbed"],
        "groups": {"testbed": list(hosts)},
        "swf_testbed_stack": str(path),
        "swf_testbed_components": ["monitor", "listener", "agent"],
        **variables,
    }
    values = Values(everything, Templar(loader=DataLoader(), variables=everything))
    functions = (_private_services.without_server, _private_services.without_host)
    return [item.text() for function in functions for item in function(values)]


def test_in_user_scope_nothing_is_missing(path):
    assert problems(path) == [] == problems(path, hosts=("a", "b"))


def test_in_system_scope_the_inventory_must_name_the_servers(path):
    database, redis = problems(path, swf_testbed_scope="system")
    assert "swf_testbed_database_host is empty, and the stack needs postgresql" in database
    assert "add a host to the group database" in database
    assert "swf_testbed_redis_host is empty" in redis and "the group redis" in redis
    servers = {"swf_testbed_database_host": "db", "swf_testbed_redis_host": "r"}
    assert problems(path, swf_testbed_scope="system", **servers) == []
    only = {"swf_testbed_components": ["agent"]}
    assert problems(path, swf_testbed_scope="system", **only) == []


def test_clients_on_two_hosts_cannot_share_a_private_server(path):
    (found,) = problems(path, hosts=("a", "b"), swf_testbed_components=["listener"])
    assert "other hosts cannot use the postgresql" in found and "does not run monitor" in found
    assert problems(path, hosts=("a",), swf_testbed_components=["listener"]) == []


def test_an_address_of_redis_needs_a_host(path):
    (found,) = problems(path, swf_testbed_redis_url="rediss://:secret@r:6380/0")
    assert "swf_testbed_redis_host is empty" in found and "secret@" not in found


def test_all_hosts_of_services_have_a_variable_for_programs():
    hosts = [service["host"] for service in _data.read(_stack.PRIVATE)]
    assert set(hosts) == set(_stack.HOSTS) == set(_stack.ADDRESSES)
    assert set(hosts) <= set(_variables.options())
