# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared addresses of a broker in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._broker_addresses import (
    AddressError,
    merged,
)


def broker_addresses(declared: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """See merged."""
    try:
        return merged(declared)
    except AddressError as error:
        raise AnsibleFilterError("broker_addresses: %s" % error) from None


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"broker_addresses": broker_addresses}
