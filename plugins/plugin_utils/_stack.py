# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack of a host: a YAML file with all that is specific to a set of programs, and the
components that an inventory adds. ``stacks/schema.yml`` describes the file."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.probes import (
    listed_roles,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import (
    found as installed,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import listing
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _data, _stack_sources
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
PROBES = "swf_testbed_health_probes"
SCOPE = "swf_testbed_scope"
PRIVATE = _data.ROOT / "roles/testbed/meta/private_services.yml"
#: the addresses of the services
HOSTS = ("swf_testbed_database_host", "swf_testbed_redis_host")
#: the variable to use in a stack that needs the service
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
#: the directory below which programs write, as a template
STATE = "{{ swf_testbed_layout.state_dir }}/"
#: defaults of a route
ROUTE = {"streaming": False, "timeout": 30, "max_request_mb": 1}
ROUTE_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")
#: those that only private services have
PRIVATE_KEYS = ("host", "clients", "ready")
#: keys of a component that are not for the template of supervisord.conf
NOT_FOR_SUPERVISORD = frozenset(
    (
        "optional",
        "package",
        "repository",
        "database_connections",
        "secrets",
        "secrets_in",
        "start_timeout",
        "reads_env_file",
        *PRIVATE_KEYS,
    )
)
#: the roles of components that need no other component on their host
OF_AGENTS = ("agent", "tool")
#: the file that starts programs which take secrets from their environment
LAUNCHER = "launch.py"
#: names of files that a stack can have in the configuration directory of an instance
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?<!\.service)")
#: the names there that are ours; with a suffix, too, if it is a directory
OUR_DIRECTORIES = frozenset(installed.DIRECTORIES["config_dir"])
OUR_FILES = frozenset((*installed.FILES["config_dir"], listing.FILE, "provenance"))
#: keys of a component that the checks of the health need; none is a template
FOR_HEALTH = ("name", "role", "start_timeout", "reads_env_file")
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
    #: of swf_testbed_stack_sources: {name of a source: its repository and commit}
    overrides: Mapping[str, Any] = field(default_factory=dict)
    #: services that a host runs for itself, if it runs a client of them
    private: tuple[Mapping[str, Any], ...] = ()

    @property
    def components(self) -> list[Mapping[str, Any]]:
        extra = ({"role": "agent", **item} for item in self.extra)
        return [*self.content["components"], *extra, *self.private]

    def names(self) -> list[str]:
        """Those of the stack file: what a host may run. The additional ones always run."""
        return [component["name"] for component in self.content["components"]]

    def default_names(self) -> list[str]:
        """Those that a host runs unless its inventory says otherwise."""
        return [item["name"] for item in self.content["components"] if not item.get("optional")]

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
        """The roles of some components, and of those that the inventory adds."""
        here = self._here(names)
        return sorted({item["role"] for item in self.components if item["name"] in here})

    def packages(self) -> list[str]:
        """The distributions with programs, each once."""
        return list(
            dict.fromkeys(
                item["package"] for item in self.content["components"] if "package" in item
            )
        )

    def distributions(self) -> list[str]:
        """The libraries of the stack and the packages, without those from git repositories."""
        from_git = {source["name"] for source in self.content.get("sources", [])}
        return [name for name in self._distributions() if name not in from_git]

    def _distributions(self) -> list[str]:
        return list(self.content.get("distributions", {}).get("libraries", [])) + self.packages()

    def requirements(self, everywhere: Iterable[str] = ()) -> list[str]:
        """Those of the stack file: its packages, unless it says otherwise.

        :param everywhere: the components that some host of the inventory runs; none if that does
            not matter.
        """
        found = self.content.get("distributions", {}).get("requirements", self.packages())
        return self.packages_of_agents(everywhere) or list(found)

    def packages_of_agents(self, everywhere: Iterable[str]) -> list[str]:
        """The packages of these components, if a release needs no others: they are agents and tools
        alone. Else none."""
        names = set(everywhere)
        here = [item for item in self.content["components"] if item["name"] in names]
        if not self.content.get("distributions", {}).get("by_component") or not all(
            item["role"] in OF_AGENTS and "package" in item for item in here
        ):
            return []
        return list(dict.fromkeys(item["package"] for item in here))

    def extra_requirements(self) -> list[str]:
        """What the additional components need of an index."""
        return list(dict.fromkeys(item["package"] for item in self.extra if item.get("package")))

    def repositories(self) -> list[dict[str, Any]]:
        """The git repositories of a release: the sources of the stack, and those of the additional
        components."""
        extra = [dict(item["repository"]) for item in self.extra if item.get("repository")]
        return _stack_sources.repositories(self.content, self.overrides) + extra

    def release(self) -> dict[str, Any]:
        """How a lock of the stack is made."""
        return _stack_sources.release(self.content)

    def requires(self) -> dict[str, Any]:
        """The oldest versions of what the stack uses."""
        return {"postgresql": "", "sqlite": "", "redis": False, **self.content["requires"]}

    def import_check(self, everywhere: Iterable[str] = ()) -> list[str]:
        """Packages that must be importable; ``everywhere`` as in :meth:`requirements`."""
        check = self.packages_of_agents(everywhere) or self.content.get("distributions", {}).get(
            "import_check", self._distributions()
        )
        named = (NAME_OF_REQUIREMENT.match(text) for text in self.extra_requirements())
        return list(check) + [found[1] for found in named if found]

    def state_directories(self) -> list[dict[str, str]]:
        """Directories that the programs write, as the module config_files has them."""
        texts = {
            "mode": "{{ '2750' if swf_testbed_layout.scope == 'system' else '0750' }}",
            "owner": "{{ swf_testbed_layout.user }}",
            "group": "{{ swf_testbed_layout.operators }}",
            "uninstall": "data",
        }
        served = {route.get("directory") for route in self.content.get("routes", [])}
        return [
            _variables.trusted(
                {
                    "path": STATE + name,
                    **texts,
                    **({"group": "{{ swf_testbed_web_group }}"} if name in served else {}),
                }
            )
            for name in self.content.get("state_directories", [])
        ]

    def routes(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """What the web server of a host with these components serves, the longest path first. Each has
        ``directory``, or the ``host`` and the ``port`` of its component."""
        running = self._here(names)
        listens = {item["name"]: item["listens"] for item in self.components if "listens" in item}
        default = [
            {"path": "/", "component": name} for name in self.of_role("monitor") if name in listens
        ]
        found = []
        for route in self.content.get("routes", default[:1]):
            route = {**ROUTE, **route}
            if route.get("component") not in (None, *running):
                continue
            if "directory" in route:
                route["directory"] = _variables.trusted(STATE + route["directory"])
            else:
                here = listens[route["component"]]
                route.update({key: here[key] for key in ("host", "port")})
            found.append(route)
        return sorted(found, key=lambda route: len(route["path"]), reverse=True)

    def database_tool(self) -> list[str]:
        """The program that reports on the database of the monitor, or nothing."""
        return [self.content["database_tool"]] if self.content.get("database_tool") else []

    def sqlite_file(self) -> list[str]:
        """The path of the SQLite file of the monitor, or nothing."""
        return [self.content["sqlite_file"]] if self.content.get("sqlite_file") else []

    def health(self, names: Sequence[str]) -> dict[str, Any]:
        """How to find out whether the testbed does its work, for a host with these components.

        ``probes`` are those of the host, and ``components`` have the roles of all programs of the
        stack.
        """
        found = self.content.get("health", {})
        here = self._here(names)
        roles = {item["role"] for item in self.components if item["name"] in here}
        probes = [
            probe
            for probe in found.get("probes", [])
            if probe["component"] in here or roles.intersection(listed_roles(probe))
        ]
        components = [
            {key: item[key] for key in FOR_HEALTH if item.get(key) is not None}
            for item in self.components
        ]
        common = {"page": "", "summary": "", "flow": []}
        return {**common, **found, "probes": probes, "components": components}

    def connections(self, names: Sequence[str]) -> list[int]:
        """The numbers of connections to PostgreSQL of the components of a host."""
        here = self._here(names)
        return [
            int(item.get("database_connections") or 0)
            for item in self.components
            if item["name"] in here
        ]

    def broker(self) -> dict[str, Any]:
        """What the stack needs of a broker."""
        return dict(self.content.get("broker", {}))

    def start_timeouts(self, names: Sequence[str]) -> list[int]:
        """The longest times that the start of the components of a host may take."""
        here = self._here(names)
        return [
            max(int(item.get(key) or 0) for key in ("startsecs", "start_timeout"))
            for item in self.components
            if item["name"] in here
        ]

    def _here(self, names: Sequence[str]) -> set[str]:
        """Some components, and those that run in addition."""
        return {*names, *self.added(names)}

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
            if item["role"] == "broker":
                program["environment"].update(self._routing())
            if self._secrets_in(item) == "file":
                program["environment"].update(
                    {name: path_of(secret) for name, secret in self._used(item).items()}
                )
            launch = self.launched(item)
            if launch:
                program["launch"] = [
                    # a text that is put together is no template before it is marked as one
                    _variables.trusted("%s=%s" % (name, path_of(secret)))
                    for name, secret in launch.items()
                ]
            found.append(program)
        return found

    def broker_addresses(self) -> list[dict[str, str]]:
        """The addresses that the stack needs of a broker, without patterns: their addresses are created
        when a program uses them."""
        return [
            {"name": name, "routing": routing}
            for routing, names in self._addresses().items()
            for name in names
        ]

    def _addresses(self) -> dict[str, list[str]]:
        """{routing: the names without patterns}."""
        declared = self.content.get("broker", {})
        return {
            routing: [name for name in declared.get(routing, []) if not name.endswith("#")]
            for routing in ("anycast", "multicast")
        }

    def _routing(self) -> dict[str, str]:
        """What swf-broker is told of the addresses; another broker of a stack has no use for it."""
        return {
            "SWF_BROKER_%s" % routing.upper(): ",".join(names)
            for routing, names in self._addresses().items()
        }

    def launched(self, component: Mapping[str, Any]) -> dict[str, str]:
        """{variable: secret} of what a program takes from its environment."""
        if self._secrets_in(component) == "file":
            return {}
        return {**self._common("environment"), **self._used(component)}

    def secrets(self, names: Sequence[str]) -> list[str]:
        """The secrets that some components need."""
        here = self._here(names)
        needed = [
            secret
            for item in self.components
            if item["name"] in here
            for secret in {**self._used(self.content), **self._used(item)}.values()
        ]
        read = [step["input_secret"] for step in self.steps(names) if "input_secret" in step]
        return [name for name in dict.fromkeys(needed + read) if name not in self.unused]

    def steps(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The steps of some components."""
        return [dict(step) for step in self.content.get("steps", []) if step["component"] in names]

    def release_files(self) -> list[str]:
        """Names of the files in the configuration directory that are restored with a release: those
        of the stack, and the launcher that commands in supervisord.conf name."""
        names = [item["name"] for item in self.content.get("files", [])]
        return names + [LAUNCHER] * any(self.launched(item) for item in self.components)

    def files(self) -> list[dict[str, Any]]:
        """The configuration files, as the option ``files`` of the module config_files has them."""
        return [
            {
                "dest": _variables.trusted("{{ swf_testbed_layout.config_dir }}/" + item["name"]),
                "content": item["content"],
                "mode": _variables.trusted("{{ swf_testbed_layout.conf_mode }}"),
            }
            for item in self.content.get("files", [])
        ]

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
    texts = _variables.trusted(
        {name: "{{ %s }}" % name for name in (*names, _stack_sources.OVERRIDES)}
    )
    found = _data.rendered(texts, templar, dict(variables))
    overrides = found.pop(_stack_sources.OVERRIDES)
    extra = variables.get(EXTRA, [])
    if isinstance(extra, str):
        extra = _data.rendered(extra, templar, dict(variables))
    content = load(found[STACK])
    problems = list(_stack_sources.wrong_overrides(content, overrides))
    if problems:
        raise StackError(problems)
    # their texts stay templates, too: they may refer to what is there later, such as the release
    return of(content, extra, found, overrides)


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
    overrides = values.get(_stack_sources.OVERRIDES) or {}
    if list(_stack_sources.wrong_overrides(content, overrides)):
        overrides = {}
    return of(content, extra, {name: values.text(name) for name in (SCOPE, *HOSTS)}, overrides)


def of(
    content: Mapping[str, Any],
    extra: Sequence[Mapping[str, Any]],
    variables: Mapping[str, str],
    overrides: Mapping[str, Any],
) -> Stack:
    """A stack with what the scope and the addresses of the services make of it."""
    missing = [service for service in private_services() if not variables[service["host"]]]
    needed = [service for service in missing if needs(content, service)]
    unused = {
        secret for service in missing if service not in needed for secret in service["clients"]
    }
    private = needed if variables[SCOPE] == "user" else []
    return Stack(content, tuple(extra), frozenset(unused), overrides, tuple(private))


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


def everywhere(templar: Any, variables: Mapping[str, Any], stack: Stack) -> tuple[set[str], bool]:
    """(components that hosts of the testbed run, whether one of these hosts runs the monitor).

    The hosts of the group monitor come first, and the first monitor ends the search.

    :param templar: of a lookup.
    :param variables: of one of the hosts.
    """
    groups = variables.get("groups") or {}
    mine = variables.get("inventory_hostname")
    hosts = [mine, *groups.get("monitor", []), *groups.get("testbed", [])]
    template = _variables.trusted("{{ swf_testbed_components }}")
    others = variables.get("hostvars")
    found: set[str] = set()
    for host in dict.fromkeys(host for host in hosts if host):
        if host == mine:
            of_host = variables
        elif others is not None:
            # not evaluated: some of its variables may be secrets that do not exist yet
            of_host = others.raw_get(host)
        else:
            continue
        names = _data.rendered(template, templar, dict(of_host))
        found.update(names)
        if "monitor" in stack.roles(names):
            return found, True
    return found, False


def wrong_stack(values: Values) -> Iterator[Problem]:
    """Problems of the stack file, and of the probes that the inventory has instead of its own."""
    name = values.text(STACK)
    if name:
        try:
            content = load(name)
        except StackError as error:
            yield from error.problems
        else:
            overrides = values.get(_stack_sources.OVERRIDES)
            yield from _stack_sources.wrong_overrides(content, overrides)
    probe = dict(schema()["options"]["health"]["options"]["probes"], type="dict")
    for place, item in values.given_items(PROBES):
        yield from _types.of_option(probe, item, place)


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
                    "is not a stack",
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
                yield _unknown_secret("%s.secrets.%s" % (place, variable), secret, secrets)
    yield from _stack_sources.wrong_sources(content, path)
    for key in ("steps", "files"):
        items = content.get(key, [])
        yield from _twice([item["name"] for item in items], "%s: %s" % (path, key), "name")
    yield from _wrong_files(path, content)
    yield from _wrong_routes(path, content)
    for place, step in _places(path + ".steps", content.get("steps", []), dotted=False):
        if "input_secret" in step and step["input_secret"] not in secrets:
            yield _unknown_secret(place + ".input_secret", step["input_secret"], secrets)
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
                    "is not a component of this stack",
                    "it is %r" % item["component"],
                    "write %s" % _variables.nearest(item["component"], names),
                )


def _wrong_routes(path: str, content: Mapping[str, Any]) -> Iterator[Problem]:
    routes = content.get("routes", [])
    yield from _twice([route["path"] for route in routes], path + ": routes", "path")
    listening = [item["name"] for item in content["components"] if "listens" in item]
    directories = content.get("state_directories", [])
    for place, route in _places(path + ".routes", routes, dotted=False):
        component, directory = route.get("component"), route.get("directory")
        where, cause, evidence, fix = place + ".path", "", "it is %r" % route["path"], ""
        if not route["path"] or not ROUTE_PATH.fullmatch(route["path"]):
            cause, fix = "is not a valid path", "begin with /, and use letters, digits and ._~-"
        elif (component is None) == (directory is None):
            where, cause = place, "has not exactly one of component and directory"
            evidence, fix = "it has %s" % ("both" if component else "none"), "write one of them"
        elif directory is not None and directory not in directories:
            where, cause = place + ".directory", "is not one of state_directories"
            evidence, fix = "it is %r" % directory, "add it to state_directories"
        elif directory is not None and not route["path"].endswith("/"):
            cause, fix = "is of a directory and has no slash at its end", "add the slash"
        elif component in [item["name"] for item in content["components"]] and (
            component not in listening
        ):
            where, cause = place + ".component", "has no address"
            evidence, fix = "%s has no key listens" % component, "add listens to the component"
        if cause:
            yield Problem(where, cause, evidence, fix)


def _unknown_secret(where: str, secret: Any, names: Iterable[str]) -> Problem:
    return Problem(
        where,
        "names an unknown secret",
        "it is %r" % secret,
        "write %s, or add it to generated_secrets" % _variables.nearest(str(secret), names),
    )


def _wrong_files(path: str, content: Mapping[str, Any]) -> Iterator[Problem]:
    for place, item in _places(path + ".files", content.get("files", []), dotted=False):
        name = item["name"]
        if not FILE_NAME.fullmatch(name):
            yield Problem(
                place + ".name",
                "is not a valid name of a file",
                "it is %r" % name,
                "use letters, digits and _.-, the first a letter, a digit or _, without .service "
                "at the end",
            )
        elif name in OUR_FILES or name.partition(".")[0] in OUR_DIRECTORIES:
            yield Problem(
                place + ".name",
                "is reserved for a file of this collection",
                "it is %r" % name,
                "choose another name",
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
