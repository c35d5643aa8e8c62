# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup plugin: the part of a host pattern that leaves out hosts on which nothing is to be done."""

from __future__ import annotations

DOCUMENTATION = """
name: differing_hosts
short_description: Limit a play to the hosts that differ from their recorded state
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Returns the end of a host pattern. M(bnlnpps.swf_testbed.host_state) has put the hosts into groups
    earlier in the run. Empty if it has not, or if the roles run on all hosts.
options: {}
"""

EXAMPLES = """
- name: Run the testbed
  hosts: "testbed{{ lookup('bnlnpps.swf_testbed.differing_hosts') }}"
  roles:
    - bnlnpps.swf_testbed.testbed
"""

RETURN = """
_raw:
  description: An empty string, C(:&swf_testbed_differs) or C(:!all).
  type: list
  elements: str
"""

from typing import Any

from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[str]:
        groups = (variables or {}).get("groups") or {}
        if "swf_testbed_current" not in groups or "swf_testbed_all_differ" in groups:
            return [""]
        # of a group that does not exist, Ansible would warn
        return [":&swf_testbed_differs" if "swf_testbed_differs" in groups else ":!all"]
