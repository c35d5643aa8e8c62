# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup plugin: the components of the testbed."""

from __future__ import annotations

DOCUMENTATION = """
name: stack
short_description: Look up the components of the stack
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Reads the stack file that the variable C(swf_testbed_stack) names, with the components that
    C(swf_testbed_extra_components) adds and the variables of the host.
options:
  _terms:
    description:
      - What to return.
      - V(names) are the names of all components of the stack file, V(default_names) those that are
        not optional, V(extra) those that the host
        runs in addition (the inventory adds them, or they are services that the instance runs for
        itself), V(packages) the distributions that have their programs, and
        V(distributions) these and the libraries of the stack, without those that are built from git
        repositories.
      - V(roles) are the roles of the components that the host runs, such as V(monitor), and
        V(secrets) the names of the secrets that they need, and V(secret_files) the files of these
        secrets, with their content.
      - V(steps) are the steps of the components that the host runs. V(files) are the configuration files
        of the stack, as M(bnlnpps.swf_testbed.config_files) has them, and V(release_files) the names of
        all files in the configuration directory that are restored with a release.
      - V(broker_addresses) are the addresses that the stack needs of a broker, each with C(name) and
        C(routing).
      - V(state_directories) are the directories that the programs write, as
        M(bnlnpps.swf_testbed.config_files) has them.
      - V(routes) are the paths that the web server of the host serves, the longest first. Each has
        C(path), and either C(directory) or the C(host) and the C(port) of a component with
        C(streaming), C(timeout) and C(max_request_mb).
      - V(database_tool) is the program that reports on the database of the monitor, if there is one, and
        V(sqlite_file) the path of its SQLite file, if the stack names one.
      - V(services) are the services that the instance of the host runs for itself, each with
        C(name), and C(ready), a command that exits with 0 while the service accepts connections.
      - V(health) is a list of one item, the checks that the testbed does its work, with the
        probes of the host, and the roles of all components. V(start_timeouts) are the longest times
        that the start of the components of the host may take, in seconds.
      - V(connections) are the numbers of connections to PostgreSQL that the components of the host open
        at most, and V(broker) is a list of one item, the requirements of the stack for a broker.
      - V(import_check) are the packages that must be importable before a release counts as built,
        V(requirements) the requirements of the stack, V(extra_requirements) those of the components
        that the inventory adds, and V(repositories) the git repositories of both.
      - V(release) is a list of one item, how a lock of the stack is made, and V(requires) one with the
        oldest versions that the stack supports.
      - V(monitor_elsewhere) is a list of one item, whether the monitor is on no host of the inventory, as
        for a developer who runs agents against a shared testbed.
      - V(ports) are the addresses and ports that they listen on, each with C(name), C(host),
        C(port), and C(variable), the variable that sets the port.
      - V(programs) are the components as programs of supervisord, each with its own environment, and
        V(environment) is a list of one item, the environment of all of them. If the stack has
        files, it includes C(SWF_STACK_FILES), a digest of them. Paths are those of the instance,
        which a preflight check finds.
    type: list
    elements: str
    choices:
      - names
      - default_names
      - extra
      - packages
      - distributions
      - roles
      - secrets
      - secret_files
      - import_check
      - monitor_elsewhere
      - requirements
      - extra_requirements
      - repositories
      - release
      - requires
      - ports
      - programs
      - environment
      - health
      - start_timeouts
      - connections
      - broker
      - database_tool
      - steps
      - files
      - release_files
      - services
      - state_directories
      - routes
      - sqlite_file
      - broker_addresses
    required: true
"""

EXAMPLES = """
- name: Show the names of all components
  ansible.builtin.debug:
    msg: "{{ lookup('bnlnpps.swf_testbed.stack', 'names') }}"
"""

RETURN = """
_raw:
  description: A list for each term.
  type: list
  elements: list
  sample:
    - [broker, monitor, monitor-listener]
"""

import hashlib
import json
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _data
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._stack import (
    Stack,
    StackError,
    everywhere,
    stack_of,
)


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[list[Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        try:
            stack = stack_of(self._templar, variables or {})
        except StackError as error:
            raise AnsibleLookupError(str(error)) from None
        return [self._part(stack, term, variables or {}) for term in terms]

    def _part(self, stack: Stack, term: str, variables: dict[str, Any]) -> list[Any]:
        if term in OF_THE_HOST:
            names = _variables.trusted("{{ swf_testbed_components }}")
            found = getattr(stack, OF_THE_HOST[term])(
                _data.rendered(names, self._templar, variables)
            )
            found = _data.rendered(found, self._templar, variables)
            return [found] if term == "health" else found
        if term == "requires":
            return [stack.requires()]
        if term == "broker":
            return [_data.rendered(stack.broker(), self._templar, variables)]
        if term == "monitor_elsewhere":
            return [not everywhere(self._templar, variables, stack)[1]]
        if term in OF_ALL_HOSTS:
            names, _monitor = everywhere(self._templar, variables, stack)
            found = getattr(stack, term)(names)
            return _data.rendered(found, self._templar, variables)
        if term == "release":
            return [_data.rendered(stack.release(), self._templar, variables)]
        if term == "files":
            return self._files(stack, variables)
        if term in PLAIN:
            return getattr(stack, PLAIN[term])()
        if term not in TEMPLATES:
            raise AnsibleLookupError("the lookup stack has no part %r" % term)
        found = _data.rendered(getattr(stack, TEMPLATES[term])(), self._templar, variables)
        if term == "environment":
            return [_data.without_empty({**self._digest(stack, variables), **found})]
        if term == "programs":
            return [
                dict(program, environment=_data.without_empty(program["environment"]))
                for program in found
            ]
        return found

    def _files(self, stack: Stack, variables: dict[str, Any]) -> list[Any]:
        def text(template: str) -> str:
            # alone: in a list, before ansible-core 2.19, a text that looks like a list would be one
            return _data.rendered(template, self._templar, variables, **_variables.AS_TEXT)

        return [{key: str(text(value)) for key, value in item.items()} for item in stack.files()]

    def _digest(self, stack: Stack, variables: dict[str, Any]) -> dict[str, str]:
        """supervisord restarts a program only if its section changed. With this variable a change of
        a file, too, is a change of the section of each program."""
        contents = [(item["dest"], item["content"]) for item in self._files(stack, variables)]
        if not contents:
            return {}
        digest = hashlib.sha256(json.dumps(contents).encode()).hexdigest()
        return {"SWF_STACK_FILES": digest[:12]}


# terms, and the methods of the stack that depend on the components of the host
OF_THE_HOST = {
    "extra": "added",
    "roles": "roles",
    "secrets": "secrets",
    "secret_files": "secret_files",
    "services": "services",
    "steps": "steps",
    "health": "health",
    "start_timeouts": "start_timeouts",
    "routes": "routes",
    "connections": "connections",
}
# terms that are methods of the stack, and depend on the components of all hosts
OF_ALL_HOSTS = ("requirements", "import_check")
# terms, and the methods of the stack that have the answer
PLAIN = {
    "names": "names",
    "default_names": "default_names",
    "packages": "packages",
    "distributions": "distributions",
    "database_tool": "database_tool",
    "release_files": "release_files",
    "broker_addresses": "broker_addresses",
}
TEMPLATES = {
    "state_directories": "state_directories",
    "sqlite_file": "sqlite_file",
    "extra_requirements": "extra_requirements",
    "repositories": "repositories",
    "ports": "listeners",
    "programs": "programs",
    "environment": "environment",
}
