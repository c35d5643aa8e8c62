# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup plugin: a host pattern that leaves out hosts on which nothing is to be done."""

from __future__ import annotations

DOCUMENTATION = """
name: differing_hosts
short_description: Limit a play to the hosts that differ from their recorded state
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Returns a host pattern without the groups that the inventory does not have, of which Ansible would
    warn. M(bnlnpps.swf_testbed.host_state) has put the hosts into groups earlier in the run. If it has
    not, or if the roles run on all hosts, the pattern has all hosts of its groups.
options:
  _terms:
    description: Names of groups, separated by colons. C(!) before a name excludes a group.
    type: str
    required: true
"""

EXAMPLES = """
- name: Run the testbed
  hosts: "{{ lookup('bnlnpps.swf_testbed.differing_hosts', 'testbed') }}"
  roles:
    - bnlnpps.swf_testbed.testbed
"""

RETURN = """
_raw:
  description: The pattern.
  type: list
  elements: str
  sample: ["testbed:&swf_testbed_differs"]
"""

from typing import Any

from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._host_patterns import (
    NO_HOST,
    existing,
)


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[str]:
        groups = (variables or {}).get("groups") or {}
        patterns = [existing(term, groups) for term in terms]
        if "swf_testbed_current" not in groups or "swf_testbed_all_differ" in groups:
            return patterns
        if "swf_testbed_differs" not in groups:
            return [NO_HOST for _pattern in patterns]
        return [pattern + ":&swf_testbed_differs" for pattern in patterns]
