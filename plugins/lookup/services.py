# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup plugin: what the roles of services say of their service."""

from __future__ import annotations

DOCUMENTATION = """
name: services
short_description: Look up the addresses and the parts of the services of the testbed
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Reads the files C(meta/service.yml) of the roles, with the variables of the host. Roles that check
    or open what other roles install read it, and repeat no path of theirs.
  - It needs no data of the host. A V(service) that differs between platforms is returned for each of
    them, with its C(platform), and the module M(bnlnpps.swf_testbed.host_check) knows which of
    them is its own.
options:
  _terms:
    description:
      - The part to return of each service that has it.
      - V(service) is its systemd unit with its files, V(instance) its supervised instance with its ports,
        and V(client) the address that other hosts call.
      - Each has C(part), the group of the hosts that serve it.
    type: list
    elements: str
    choices: [service, instance, client]
    required: true
"""

EXAMPLES = """
- name: Show the addresses that hosts call
  ansible.builtin.debug:
    msg: "{{ lookup('bnlnpps.swf_testbed.services', 'client') }}"
"""

RETURN = """
_raw:
  description: A list for each term.
  type: list
  elements: list
"""

from typing import Any

from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _data, _platforms


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[list[dict[str, Any]]]:
        self.set_options(var_options=variables, direct=kwargs)
        return [self._parts(term, variables or {}) for term in terms]

    def _parts(self, part: str, variables: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            item
            for role, service in _data.services().items()
            if part in service
            for item in self._of_platforms(role, service, part, variables)
        ]

    def _of_platforms(
        self, role: str, service: dict[str, Any], part: str, variables: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """One item; or, of a unit that differs between platforms, one for each of them."""
        everything = dict(variables, **service.get("vars", {}))
        families = _platforms.families(role) if part == "service" else []
        if not families:
            return [_data.rendered(service[part], self._templar, everything)]
        found = []
        for family in families:
            for release in _platforms.releases(role, family):
                platform = {"family": family, "release": release}
                item = _data.rendered(
                    service[part], self._templar, dict(everything, swf_testbed_platform=platform)
                )
                found.append(dict(item, platform=("%s %s" % (family, release)).strip()))
        same = all(dict(item, platform="") == dict(found[0], platform="") for item in found)
        return [dict(found[0], platform="")] if same else found
