# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.quoting import (
    environment,
)


def supervisor_environment(variables: t.Any, section: str = "program") -> str:
    if not isinstance(variables, Mapping):
        raise AnsibleFilterError(
            "supervisor_environment: a dictionary is needed, not %s" % type(variables).__name__
        )
    if section not in ("program", "supervisord"):
        raise AnsibleFilterError(
            "supervisor_environment: section must be 'program' or 'supervisord'"
        )
    pairs = {}
    for name, value in variables.items():
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            raise AnsibleFilterError(
                "supervisor_environment: the value of %s must be a string or a number, not %s: how "
                "a program "
                "wants "
                "to read it (true or 1, say) cannot be guessed" % (name, type(value).__name__)
            )
        pairs[str(name)] = str(value)
    try:
        return environment(pairs, section)
    except ValueError as error:
        raise AnsibleFilterError("supervisor_environment: %s" % error) from error


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"supervisor_environment": supervisor_environment}
