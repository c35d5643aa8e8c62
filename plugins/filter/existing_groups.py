# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ansible import context
from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._host_patterns import existing


def existing_groups(
    groups: Mapping[str, Sequence[str]],
    pattern: str,
    hosts: Sequence[str] | None = None,
    others: str = "",
) -> str:
    """The pattern of a play without the groups that do not exist. With hosts, one of its groups, or
    of the other ones, must have one of them."""
    if hosts is None:
        return existing(pattern, groups)
    names = pattern.split(":")
    found = {name for name, members in groups.items() if not set(hosts).isdisjoint(members)}
    # a linter checks the syntax without an inventory
    if context.CLIARGS.get("syntax") or not found.isdisjoint((*names, *others.split(":"))):
        return existing(pattern, groups)
    raise AnsibleFilterError(
        "no host of the inventory is in one of the groups %s. Evidence: the groups with hosts, "
        "within --limit, are: %s. Fix: pass the right inventory with -i, and put hosts into its "
        "groups: testbed (the programs), and index (the packages, unless another package index has "
        "them)" % (", ".join(names), ", ".join(sorted(found - {"all"})) or "none")
    )


class FilterModule:
    def filters(self) -> dict[str, Callable[..., str]]:
        return {"existing_groups": existing_groups}
