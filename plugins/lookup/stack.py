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
      - V(names) are the names of all components of the stack file, V(extra) those that the host
        runs in addition (the inventory adds them, or they are services that the instance runs for
        itself), V(packages) the distributions that have their programs, and
        V(distributions) these and the libraries of the stack.
      - V(roles) are the roles of the components that the host runs, such as V(monitor), and
        V(secrets) the names of the secrets that they need, and V(secret_files) the files of these
        secrets, with their content.
      - V(database_tool) is the program that reports on the database of the monitor, if there is one.
      - V(services) are the services that the instance of the host runs for itself, each with
        C(name), and C(ready), a command that ends with 0 while the service accepts connections.
      - V(requires) is a list of one item, what the stack needs of a host.
      - V(health) is a list of one item, how to find out whether the testbed does its work.
      - V(import_check) are the packages that must be importable before a release counts as built,
        V(requirements) the requirements of the stack, V(extra_requirements) those of the components
        that the inventory adds, and V(repositories) the git repositories of these.
      - V(ports) are the addresses and ports that they listen on, each with C(name), C(host),
        C(port), and C(variable), the variable that sets the port.
      - V(programs) are the components as programs of supervisord, each with its own environment, and
        V(environment) is a list of one item, what all of them get. Paths are those of the instance,
        which a preflight check finds.
    type: list
    elements: str
    choices:
      - names
      - extra
      - packages
      - distributions
      - roles
      - secrets
      - secret_files
      - import_check
      - requirements
      - extra_requirements
      - repositories
      - ports
      - programs
      - environment
      - health
      - database_tool
      - requires
      - services
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

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _data
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._stack import (
    Stack,
    StackError,
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
        if term in OF_HOST:
            names = _variables.trusted("{{ swf_testbed_components }}")
            found = getattr(stack, OF_HOST[term])(_data.rendered(names, self._templar, variables))
            return _data.rendered(found, self._templar, variables)
        if term == "requires":
            return [stack.content["requires"]]
        if term == "health":
            return [_data.rendered(stack.health(), self._templar, variables)]
        if term in PLAIN:
            return getattr(stack, PLAIN[term])()
        if term not in TEMPLATES:
            raise AnsibleLookupError("the lookup stack has no part %r" % term)
        found = _data.rendered(getattr(stack, TEMPLATES[term])(), self._templar, variables)
        if term == "environment":
            return [_data.without_empty(found)]
        if term == "programs":
            return [
                dict(program, environment=_data.without_empty(program["environment"]))
                for program in found
            ]
        return found


# terms and the methods of the stack that have the answer
OF_HOST = {
    "extra": "added",
    "roles": "roles",
    "secrets": "secrets",
    "secret_files": "secret_files",
    "services": "services",
}
PLAIN = {
    "names": "names",
    "packages": "packages",
    "distributions": "distributions",
    "database_tool": "database_tool",
}
TEMPLATES = {
    "import_check": "import_check",
    "extra_requirements": "extra_requirements",
    "repositories": "extra_repositories",
    "requirements": "requirements",
    "ports": "listeners",
    "programs": "programs",
    "environment": "environment",
}
