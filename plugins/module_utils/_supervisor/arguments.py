# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options and failures that both supervisor modules share."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor import status
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.logs import add_tails

CONNECTION: dict[str, t.Any] = {
    "socket": {"type": "path"},
    "url": {"type": "str"},
    "config": {"type": "path"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "timeout": {"type": "float", "default": 15},
    "connect_wait": {"type": "float", "default": 0},
    "validate_certs": {"type": "bool", "default": True},
    "ca_cert": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
    "names": {"type": "list", "elements": "str", "default": [], "aliases": ["name"]},
    "groups": {"type": "list", "elements": "str", "default": [], "aliases": ["group"]},
    "wait_timeout": {"type": "float", "default": 60},
    "min_uptime": {"type": "float", "default": 0},
    "log_tail": {"type": "int", "default": 2000},
}

RULES: dict[str, t.Any] = {
    "supports_check_mode": True,
    "mutually_exclusive": [("socket", "url", "config")],
    "required_one_of": [("socket", "url", "config")],
    "required_together": [("username", "password")],
    "required_by": {"client_key": "client_cert"},
}


def check_numbers(module: AnsibleModule) -> None:
    """Refuse invalid numbers before the first query."""
    if module.params["timeout"] <= 0:
        module.fail_json(msg="timeout must be more than 0 seconds.", cause="bad_option")
    for option in ("connect_wait", "wait_timeout", "min_uptime", "log_tail"):
        if module.params[option] < 0:
            module.fail_json(msg="%s must not be negative." % option, cause="bad_option")


def no_such_program(missing: list[str], configured: list[str]) -> str:
    return "supervisord has no program %s. Evidence: it has %s." % (
        ", ".join(missing),
        ", ".join(configured) or "none",
    )


def fail(module: AnsibleModule, error: SupervisorError, **result: t.Any) -> t.NoReturn:
    module.fail_json(msg=error.message, cause=error.cause, **result)
    raise AssertionError  # fail_json ends the module


def with_tails(
    client: Client, items: t.Sequence[status.Process], size: int
) -> list[status.Process]:
    """The items with the ends of their logs. Unreadable logs must not hide the failure itself."""
    if size and items:
        try:
            add_tails(client, items, size)
        except SupervisorError:
            pass
    return list(items)
