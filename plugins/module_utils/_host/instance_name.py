# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The type "instance name": directories, units and accounts carry the name of an instance, so it
must be plain."""

from __future__ import annotations

import re
from typing import Any

PATTERN = r"[a-z0-9][a-z0-9-]{0,31}"
RULE = "1 to 32 lowercase letters, digits and hyphens, the first a letter or a digit"


class InstanceNameError(ValueError):
    """The name cannot be used for an instance; the message has cause, evidence and fix."""


def instance_name(value: Any, variable: str = "swf_testbed_instance") -> str:
    """The name itself, if it is one.

    :param value: the name that was given.
    :param variable: the variable or option that sets it, for the message.
    :raises InstanceNameError: it is not text, or would lead to another path, option or unit.
    """
    if not isinstance(value, str) or not re.fullmatch(PATTERN, value):
        raise InstanceNameError(
            "%s is not the name of an instance. Evidence: it is %r. Fix: use %s"
            % (variable, value, RULE)
        )
    return value
