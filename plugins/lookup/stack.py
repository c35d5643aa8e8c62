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
  - Reads C(stacks/reference.yml) of the collection, the catalog of the programs that a testbed has,
    with the variables of the host.
options:
  _terms:
    description:
      - What to return.
      - V(names) are the names of all components, V(packages) the distributions that have their
        programs, and V(distributions) these and the libraries of the stack.
      - V(ports) are the addresses and ports that they listen on, each with C(name), C(host),
        C(port), and C(variable), the variable that sets the port.
      - V(programs) are the components as programs of supervisord, each with its own environment, and
        V(environment) is a list of one item, what all of them get. Paths are those of the instance,
        which a preflight check finds.
    type: list
    elements: str
    choices: [names, packages, distributions, ports, programs, environment]
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


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[list[Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        return [self._part(term, variables or {}) for term in terms]

    def _part(self, term: str, variables: dict[str, Any]) -> list[Any]:
        if term == "names":
            return _data.component_names()
        if term == "packages":
            return _data.packages()
        if term == "distributions":
            return _data.distributions()
        if term == "ports":
            return _data.rendered(_data.listeners(), self._templar, variables)
        if term == "environment":
            found = _data.rendered(_data.environment(), self._templar, variables)
            return [_data.without_empty(found)]
        if term == "programs":
            programs = _data.rendered(_data.programs(), self._templar, variables)
            return [
                dict(program, environment=_data.without_empty(program.get("environment", {})))
                for program in programs
            ]
        raise AnsibleLookupError("the lookup stack has no part %r" % term)
