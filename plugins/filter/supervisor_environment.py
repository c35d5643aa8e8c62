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
            "supervisor_environment: the input must be a dictionary, not %s"
            % type(variables).__name__
        )
    if section not in ("program", "supervisord"):
        raise AnsibleFilterError(
            "supervisor_environment: section must be 'program' or 'supervisord'"
        )
    try:
        return environment({str(name): value for name, value in variables.items()}, section)
    except ValueError as error:
        raise AnsibleFilterError("supervisor_environment: %s" % error) from error


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"supervisor_environment": supervisor_environment}
