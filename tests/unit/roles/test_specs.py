# SPDX-License-Identifier: GPL-3.0-or-later
"""Specs, defaults and layout of the roles belong together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from helpers import reach
from helpers.reach import SECRET_BEARING, reaches_secret

ROOT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
#: internal: its arguments come from the roles that call it, and it has no variables for an inventory
INTERNAL = "_instance"
PUBLIC = [role for role in ROLES if role != INTERNAL]
SECRET = re.compile(r"(token|password|secret_key)$")


def load(path):
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def defaults_of(role):
    return load(ROOT / "roles" / role / "defaults/main.yml")


def vars_of(role):
    return load(ROOT / "roles" / role / "vars/main.yml")


def spec(role):
    return load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]


def as_list(value):
    return value if isinstance(value, list) else [value]


def options(tree):
    for name, option in tree.items():
        yield name, option
        yield from options(option.get("options") or {})


@pytest.mark.parametrize("role", PUBLIC)
def test_defaults_are_those_of_the_spec(role):
    defaults = defaults_of(role)
    # Ansible works out the defaults of a spec, and prints them with every wrong argument
    public = {name: value for name, value in defaults.items() if not reaches_secret(value)}
    # the first entry point has all of them
    options = next(iter(spec(role).values()))["options"]
    assert options.keys() == defaults.keys()
    given = {name: option["default"] for name, option in options.items() if "default" in option}
    assert given == {name: value for name, value in public.items() if name in given}
    for name in defaults.keys() - given.keys():
        description = " ".join(reach.texts(options[name]["description"]))
        assert "default is" in description or "Generated once" in description, (
            "%s: say in words what its default is" % name
        )


def test_what_can_hold_a_secret_is_known():
    """Those that the rules above and below go by, also where it is three expressions away."""
    assert {
        "swf_testbed_api_token",
        "swf_testbed_release_git_token",
        "swf_testbed_broker_users",
        "swf_testbed_release_indexes",
        "swf_testbed_publish_indexes",
        "swf_testbed_publish_repositories",
        "swf_testbed_secret_files",
        "__instance_placed_secrets",
        "__broker_tls_files",
    } <= SECRET_BEARING
    assert not SECRET_BEARING & {
        "swf_testbed_components",
        "swf_testbed_release_lock_file",
        "swf_testbed_environment",
        "__broker_files",
    }
    assert reaches_secret(
        [{"a": "x{{ lookup('ansible.builtin.vars', 'swf_testbed_database_password') }}"}]
    )
    assert not reaches_secret(
        "{{ __broker_tls_files | map(attribute='dest') }} swf_testbed_api_token"
    )


@pytest.mark.parametrize(
    "path,task",
    [
        pytest.param(path, task, id="%s: %s" % (path, task.get("name")))
        for path, task in reach.all_tasks()
    ],
)
def test_no_task_carries_a_secret(path, task):
    """Callback plugins see the arguments of every task, no_log or not. A task names the variable
    instead (option_of)."""
    for key, value in task.items():
        if key.endswith(".assert"):
            # a condition is not replaced by its value
            value = {name: text for name, text in value.items() if name != "that"}
        if key not in ("name", "when", "vars", "until", "changed_when", "failed_when"):
            assert not reaches_secret(value), (path, key)


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_typed_and_described(role):
    for entry in spec(role).values():
        assert entry["short_description"] and entry["description"]
        assert all(isinstance(text, str) for text in as_list(entry["description"]))
        for name, option in options(entry["options"]):
            assert option["type"] and option["description"], name
            # a colon in plain text makes a mapping of it
            assert all(isinstance(text, str) for text in as_list(option["description"])), name
            assert option["type"] != "list" or option["elements"], name


@pytest.mark.parametrize("role", ROLES)
def test_secrets_are_marked(role):
    for entry in spec(role).values():
        for name, option in options(entry["options"]):
            if SECRET.search(name) and option["type"] == "str":
                assert option.get("no_log"), name


@pytest.mark.parametrize("role", ROLES)
def test_public_names_carry_the_prefix_of_the_collection(role):
    for name in load(ROOT / "roles" / role / "defaults/main.yml"):
        assert name.startswith("swf_testbed_"), name
    # what plays and roles share is in the role common
    shared = "swf_testbed_" if role == "common" else "__"
    for name in vars_of(role):
        assert name.startswith(("__%s_" % role.strip("_"), shared)), name


def test_variables_that_make_passes_carry_the_prefix_of_the_collection():
    text = (ROOT / "Makefile").read_text()
    passed = re.findall(r'"(\w+)":|-e (\w+)=', text)
    names = {one or other for one, other in passed}
    # login is the subject of a single run, as in `-e login=alice`, and no setting of a host
    others = {name for name in names if not name.startswith("swf_testbed_")}
    assert len(names) > 5 and others == {"login"}, names


@pytest.mark.parametrize("role", ROLES)
def test_every_role_variable_that_is_used_is_known(role):
    names_in_use = {name for other in ROLES for name in (*defaults_of(other), *vars_of(other))}
    names_in_use |= set(spec(INTERNAL)["secrets"]["options"])
    tasks = "".join(path.read_text() for path in (ROOT / "roles").glob("*/tasks/*.yml"))
    registered = set(re.findall(r"(?:register: |set_fact:\n +)(\w+)", tasks))
    registered |= {name for _path, task in reach.all_tasks() for name in task.get("vars") or ()}
    prefixes = "|".join(["swf_testbed", *(name.strip("_") for name in ROLES)])
    for path in (ROOT / "roles" / role).rglob("*.*"):
        if path.suffix not in (".yml", ".j2") or path.name == "argument_specs.yml":
            continue
        for expression in re.findall(
            r"\{\{.*?\}\}|\{%.*?%\}|when: [^\n]*", path.read_text(), re.DOTALL
        ):
            # neither FQCNs, nor attributes, nor text in quotes
            bare = re.sub(r"'[^']*'|bnlnpps\.swf_testbed\.\w+", "", expression)
            for name in re.findall(r"(?<![\w./])_{0,2}(?:%s)_\w+" % prefixes, bare):
                assert name in names_in_use | registered, "%s in %s" % (name, path)


def test_every_fqcn_that_is_used_is_there():
    plugins = {
        path.stem
        for folder in ("modules", "filter", "lookup", "test")
        for path in (ROOT / "plugins" / folder).glob("*.py")
    }
    names = plugins | set(ROLES) | {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    folders = [
        path
        for name in ("roles", "playbooks", "molecule", "examples")
        for path in (ROOT / name).rglob("*")
    ]
    for path in [*(path for path in folders if path.suffix in (".yml", ".j2")), ROOT / "site.yml"]:
        for name in re.findall(r"bnlnpps\.swf_testbed\.(\w+)", path.read_text()):
            assert name in names, "%s in %s" % (name, path)


@pytest.mark.parametrize("role", PUBLIC)
def test_every_variable_of_an_inventory_has_an_effect(role):
    """A default that only the specification mentions would be an option that does nothing."""
    texts = [
        path.read_text()
        for folder in ("roles", "playbooks", "stacks", "plugins")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".yml", ".j2", ".py") and path.name != "argument_specs.yml"
    ]
    for name in defaults_of(role):
        used = re.compile(r"(?<!\w)%s(?!\w)(?!:)" % name)
        assert any(used.search(text) for text in texts), name
