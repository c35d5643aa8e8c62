# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack of a host: a YAML file with all that is specific to a set of programs, and the
components that an inventory adds. ``stacks/schema.yml`` describes the file."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _data
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import (
    _types,
    _variables,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._problem import Problem
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values

FOLDER = _data.ROOT / "stacks"
SCHEMA = FOLDER / "schema.yml"
DEFAULT = "reference"
STACK = "swf_testbed_stack"
EXTRA = "swf_testbed_extra_components"
SCOPE = "swf_testbed_scope"
PRIVATE = _data.ROOT / "roles/testbed/meta/private_services.yml"
#: the addresses of the services
HOSTS = ("swf_testbed_database_host", "swf_testbed_redis_host")
#: what a stack that needs the service writes instead
ADDRESSES = {
    "swf_testbed_database_host": "swf_testbed_database_address",
    "swf_testbed_redis_host": "swf_testbed_redis_url",
}
#: secrets of every stack, each the value of the variable swf_testbed_NAME
SECRETS = (
    "api_token",
    "broker_password",
    "database_password",
    "monitor_secret_key",
    "redis_password",
    "redis_url",
)
#: that of a private service alone
PRIVATE_SECRETS = ("redis_configuration",)
GENERATED = (
    "{%% set name = '%s' %%}{{ swf_testbed_stack_secrets[name] if name in swf_testbed_stack_secrets"
    " else lookup('bnlnpps.swf_testbed.secret', name,"
    " directory=swf_testbed_controller_dir ~ '/secrets') }}"
)
#: those that only private services have
PRIVATE_KEYS = ("host", "clients", "ready")
#: keys of a component that are not for the template of supervisord.conf
NOT_FOR_SUPERVISORD = frozenset(
    ("package", "repository", "listens", "secrets", "secrets_in", "start_timeout", *PRIVATE_KEYS)
)
NAME_OF_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


class StackError(Exception):
    """A stack file cannot be used.

    :param problems: all of them, as of the variables of an inventory.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.text() for problem in problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Stack:
    """A stack file with the components that an inventory adds to it. Texts are templates."""

    content: Mapping[str, Any]
    extra: tuple[Mapping[str, Any], ...] = ()
    #: secrets that this host has no use for
    unused: frozenset[str] = frozenset()
    #: services that a host runs for itself, if it runs a client of them
    private: tuple[Mapping[str, Any], ...] = ()

    @property
    def components(self) -> list[Mapping[str, Any]]:
        extra = ({"role": "agent", **item} for item in self.extra)
        return [*self.content["components"], *extra, *self.private]

    def names(self) -> list[str]:
        """Those of the stack file: what a host may run. The additional ones always run."""
        return [component["name"] for component in self.content["components"]]

    def of_role(self, role: str) -> list[str]:
        return [item["name"] for item in self.components if item["role"] == role]

    def added(self, names: Sequence[str]) -> list[str]:
        """What a host with some components runs in addition: those that the inventory adds, and the
        private services of all of these."""
        extra = [item["name"] for item in self.extra]
        here = {*names, *extra}
        return extra + [
            service["name"] for service in self.private if here.intersection(self.clients(service))
        ]

    def services(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The private services of a host with some components, each with ``name`` and ``ready``."""
        here = self.added(names)
        return [
            {key: service[key] for key in ("name", "ready")}
            for service in self.private
            if service["name"] in here
        ]

    def clients(self, service: Mapping[str, Any]) -> list[str]:
        """The components that use a private service."""
        secrets = set(service["clients"])
        return [
            item["name"]
            for item in (*self.content["components"], *self.extra)
            if secrets.intersection({**self._used(self.content), **self._used(item)}.values())
        ]

    def roles(self, names: Sequence[str]) -> list[str]:
        """The roles of some components, and of those that run in addition."""
        here = {*names, *self.added(names)}
        return sorted({item["role"] for item in self.components if item["name"] in here})

    def packages(self) -> list[str]:
        """The distributions with programs, each once."""
        return list(
            dict.fromkeys(
                item["package"] for item in self.content["components"] if "package" in item
            )
        )

    def distributions(self) -> list[str]:
        """The libraries of the stack and the packages."""
        return list(self.content.get("distributions", {}).get("libraries", [])) + self.packages()

    def requirements(self) -> list[str]:
        """Those of the stack file: its packages, unless it says otherwise."""
        return list(self.content.get("distributions", {}).get("requirements", self.packages()))

    def extra_requirements(self) -> list[str]:
        """What the additional components need of an index."""
        return list(dict.fromkeys(item["package"] for item in self.extra if item.get("package")))

    def extra_repositories(self) -> list[dict[str, Any]]:
        return [dict(item["repository"]) for item in self.extra if item.get("repository")]

    def import_check(self) -> list[str]:
        check = self.content.get("distributions", {}).get("import_check", self.packages())
        named = (NAME_OF_REQUIREMENT.match(text) for text in self.extra_requirements())
        return list(check) + [found[1] for found in named if found]

    def database_tool(self) -> list[str]:
        """The program that reports on the database of the monitor, or nothing."""
        return [self.content["database_tool"]] if self.content.get("database_tool") else []

    def health(self) -> dict[str, Any]:
        found = self.content.get("health", {})
        return {"page": "", "summary": "", "flow": [], "probes": [], **found}

    def listeners(self) -> list[dict[str, Any]]:
        """Where the components listen, as the option ``ports`` of the module preflight has it."""
        return [
            dict(item["listens"], name=item["name"])
            for item in self.components
            if "listens" in item
        ]

    def environment(self) -> dict[str, Any]:
        """What every program gets."""
        return {
            **self.content.get("environment", {}),
            **{name: path_of(secret) for name, secret in self._common("file").items()},
        }

    def programs(self) -> list[dict[str, Any]]:
        """The components as programs of supervisord. ``launch`` lists the variables that the
        launcher sets, each as NAME=PATH."""
        found = []
        for item in self.components:
            program = {key: item[key] for key in item if key not in NOT_FOR_SUPERVISORD}
            program["environment"] = dict(item.get("environment", {}))
            if self._secrets_in(item) == "file":
                program["environment"].update(
                    {name: path_of(secret) for name, secret in self._used(item).items()}
                )
            launch = self.launched(item)
            if launch:
                program["launch"] = [
                    _variables.trusted("%s=%s" % (name, path_of(secret)))
                    for name, secret in launch.items()
                ]
            found.append(program)
        return found

    def launched(self, component: Mapping[str, Any]) -> dict[str, str]:
        """{variable: secret} of what a program takes from its environment."""
        if self._secrets_in(component) == "file":
            return {}
        return {**self._common("environment"), **self._used(component)}

    def secrets(self, names: Sequence[str]) -> list[str]:
        """The secrets that some components need."""
        here = {*names, *self.added(names)}
        needed = [
            secret
            for item in self.components
            if item["name"] in here
            for secret in {**self._used(self.content), **self._used(item)}.values()
        ]
        return list(dict.fromkeys(needed))

    def secret_files(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The files of these secrets. Only a template that is used generates a secret."""
        return [
            {
                "dest": _variables.trusted("{{ swf_testbed_layout.secrets_dir }}/" + name),
                "content": _variables.trusted(
                    ("{{ swf_testbed_%s }}" if name in (*SECRETS, *PRIVATE_SECRETS) else GENERATED)
                    % name
                ),
                "secret": True,
            }
            for name in self.secrets(names)
        ]

    def _common(self, where: str) -> dict[str, str]:
        """The secrets of all programs, if the stack has them there."""
        return self._used(self.content) if where == self._secrets_in({}) else {}

    def _used(self, item: Mapping[str, Any]) -> dict[str, str]:
        """{variable: secret} of a component, or of the whole stack."""
        return {
            name: secret
            for name, secret in item.get("secrets", {}).items()
            if secret not in self.unused
        }

    def _secrets_in(self, component: Mapping[str, Any]) -> str:
        where: str = component.get("secrets_in", self.content.get("secrets_in", "file"))
        return where


def path_of(secret: str) -> str:
    """The file of a secret, as a template."""
    return _variables.trusted("{{ swf_testbed_layout.readable_secrets_dir }}/" + secret)


def stack_of(templar: Any, variables: Mapping[str, Any]) -> Stack:
    """The stack of a host.

    :param templar: the templar of an action or a lookup.
    :param variables: of the host.
    :raises StackError:
    """
    names = (STACK, SCOPE, *HOSTS)
    texts = _variables.trusted({name: "{{ %s }}" % name for name in names})
    found = _data.rendered(texts, templar, dict(variables))
    extra = variables.get(EXTRA, [])
    if isinstance(extra, str):
        extra = _data.rendered(extra, templar, dict(variables))
    # their texts stay templates, too: they may refer to what is there later, such as the release
    return of(load(found[STACK]), extra, found)


def of_values(values: Values) -> Stack:
    """The stack of a host whose inventory is being checked; the default where it is not usable,
    which :func:`wrong_stack` reports."""
    extra = [
        item
        for item in values.entries(EXTRA)
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    ]
    try:
        content = load(values.text(STACK) or DEFAULT)
    except StackError:
        content = load(DEFAULT)
    return of(content, extra, {name: values.text(name) for name in (SCOPE, *HOSTS)})


def of(
    content: Mapping[str, Any], extra: Sequence[Mapping[str, Any]], variables: Mapping[str, str]
) -> Stack:
    """A stack with what the scope and the addresses of the services make of it."""
    missing = [service for service in private_services() if not variables[service["host"]]]
    needed = [service for service in missing if needs(content, service)]
    unused = {
        secret for service in missing if service not in needed for secret in service["clients"]
    }
    private = needed if variables[SCOPE] == "user" else []
    return Stack(content, tuple(extra), frozenset(unused), tuple(private))


def private_services() -> list[dict[str, Any]]:
    """All services that an instance in user scope can run for itself."""
    services: list[dict[str, Any]] = _data.read(PRIVATE)
    return services


def needs(content: Mapping[str, Any], service: Mapping[str, Any]) -> bool:
    """Whether a stack cannot do without a service."""
    requires = content["requires"]
    if service["role"] == "database":
        return "postgresql" in requires and "sqlite" not in requires
    return bool(requires.get("redis"))


def roles_here(values: Values) -> list[str]:
    """The roles of the components that a host runs."""
    if "testbed" not in values.groups:
        return []
    return of_values(values).roles(components_here(values))


def components_here(values: Values) -> list[str]:
    """The components of the stack that a host runs; the check of types reports what is no text."""
    return [name for name in values.entries("swf_testbed_components") if isinstance(name, str)]


def wrong_stack(values: Values) -> Iterator[Problem]:
    name = values.text(STACK)
    if not name:
        return
    try:
        load(name)
    except StackError as error:
        yield from error.problems


def location(name: str) -> Path:
    """The file of a stack: the name of one of the collection, or a path."""
    return Path(os.path.expanduser(name)) if "/" in name else FOLDER / (name + ".yml")


def load(name: str) -> Mapping[str, Any]:
    """The content of a stack file.

    :raises StackError: with all problems.
    """
    path = location(name)
    try:
        return _loaded(path, path.stat().st_mtime_ns)
    except OSError as error:
        stacks = sorted(place.stem for place in FOLDER.glob("*.yml") if place != SCHEMA)
        raise StackError(
            [
                Problem(
                    STACK,
                    "is no stack",
                    "%s: %s" % (path, error.strerror),
                    "write %s, or the path of a stack file" % " or ".join(stacks),
                )
            ]
        ) from None


@functools.lru_cache(maxsize=16)
def _loaded(path: Path, _time: int) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise StackError(
            [Problem(str(path), "is not YAML", " ".join(str(error).split()), "correct it")]
        ) from None
    problems = list(wrong(content, str(path)))
    if problems:
        raise StackError(problems)
    trusted: Mapping[str, Any] = _variables.trusted(content)
    return trusted


@functools.cache
def schema() -> dict[str, Any]:
    """The keys of a stack file, as the option of a role."""
    options: dict[str, Any] = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    return {"type": "dict", "options": options}


def wrong(content: Any, path: str) -> Iterator[Problem]:
    """All problems of a stack file."""
    found = list(_types.of_option(schema(), content, path))
    yield from found
    if found:
        return
    names = [component["name"] for component in content["components"]]
    services = [item for item in private_services() if needs(content, item)]
    yield from _twice([*names, *(item["name"] for item in services)], path + ": components", "name")
    for service in services:
        if service["host"] in str(content):
            yield Problem(
                path,
                "names %s, which is empty where the instance runs the server itself"
                % service["host"],
                "requires asks for %s" % service["name"],
                "write %s" % ADDRESSES[service["host"]],
            )
    secrets = {*SECRETS, *content.get("generated_secrets", [])}
    for place, component in [(path, content), *_places(path, content["components"])]:
        for variable, secret in component.get("secrets", {}).items():
            if secret not in secrets:
                yield Problem(
                    "%s.secrets.%s" % (place, variable),
                    "names an unknown secret",
                    "it is %r" % secret,
                    "write %s, or add it to generated_secrets"
                    % _variables.nearest(str(secret), secrets),
                )
    lists = {
        "steps": content.get("steps", []),
        "health.probes": content.get("health", {}).get("probes", []),
        "routes": content.get("routes", []),
    }
    for key, items in lists.items():
        for place, item in _places("%s.%s" % (path, key), items, dotted=False):
            if "component" in item and item["component"] not in names:
                yield Problem(
                    place + ".component",
                    "is no component of this stack",
                    "it is %r" % item["component"],
                    "write %s" % _variables.nearest(item["component"], names),
                )


def _places(
    path: str, items: Sequence[Mapping[str, Any]], dotted: bool = True
) -> list[tuple[str, Mapping[str, Any]]]:
    start = path + ".components" if dotted else path
    return [("%s[%d]" % (start, place), item) for place, item in enumerate(items)]


def _twice(names: Sequence[str], where: str, what: str) -> Iterator[Problem]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield Problem(
                where,
                "have one %s twice" % what,
                "it is %r" % name,
                "choose another %s for one of them" % what,
            )
