# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup plugin: what differs between platforms."""

from __future__ import annotations

DOCUMENTATION = """
name: platform
short_description: Look up the data of a role for the platform of the host
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Names of packages, units, users and directories differ between families of distributions. The roles
    have one file for each family, C(vars/Debian.yml) and C(vars/RedHat.yml), and no task branches on
    a distribution.
  - The module M(bnlnpps.swf_testbed.preflight) finds the distribution of the host.
options:
  _terms:
    description: Names of roles, without the name of the collection.
    type: list
    elements: str
    required: true
"""

EXAMPLES = """
- name: Show the package of Redis
  ansible.builtin.debug:
    msg: "{{ lookup('bnlnpps.swf_testbed.platform', 'redis').package }}"
"""

RETURN = """
_raw:
  description: A dictionary for each term.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _data, _platforms
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory import _variables


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        everything = variables or {}
        platform = _data.rendered(
            _variables.trusted("{{ swf_testbed_platform }}"), self._templar, everything
        )
        try:
            return [_platforms.data_of(role, platform) for role in terms]
        except ValueError as error:
            raise AnsibleLookupError(str(error)) from None
