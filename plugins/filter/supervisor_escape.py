# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.quoting import escape


def supervisor_escape(value: t.Any) -> str:
    try:
        return escape(value)
    except ValueError as error:
        raise AnsibleFilterError(
            "supervisor_escape: the value cannot be written: %s" % error
        ) from error


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"supervisor_escape": supervisor_escape}
