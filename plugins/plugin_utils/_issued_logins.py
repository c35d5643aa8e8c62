# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logins that the operator of a shared testbed has issued: ``secrets/issued_logins.json`` on the
controller, which also records the revoked ones, without their secrets."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import exclusive
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import (
    read,
    replacing,
)

VARIABLE = "swf_testbed_issued_logins"
FILE = "issued_logins.json"
LOGIN = re.compile(r"[a-z][a-z0-9_-]{0,31}")
#: users of the broker and of the monitor that are not issued
RESERVED = ("admin", "artemis", "guest", "swf-api", "system")
# seconds to wait for another run, which locks the list for a moment
PATIENCE = 30


class IssuedLogins:
    """The list of a controller.

    :param directory: swf_testbed_controller_dir.
    """

    def __init__(self, directory: str) -> None:
        self.folder = os.path.join(os.path.expanduser(directory), "secrets")
        self.path = os.path.join(self.folder, FILE)

    def logins(self) -> list[dict[str, str]]:
        """The valid logins, each with its secrets, as the variable has them.

        :raises OSError, ValueError:
        """
        return [
            {"login": name, **{key: item[key] for key in ("namespace", "password", "token")}}
            for name, item in sorted(self._read()["logins"].items())
        ]

    def issue(self, login: str, by: str, check_mode: bool) -> tuple[dict[str, str], bool]:
        """(the login with its secrets, whether it is new)."""
        for found in self.logins():
            if found["login"] == login:
                return found, False
        made = {
            "namespace": login,
            "password": secrets.token_hex(20),
            "token": secrets.token_hex(20),
            "issued": now(),
            "issued_by": by,
        }
        if not check_mode:
            self._change(lambda content: content["logins"].setdefault(login, made))
            return next(found for found in self.logins() if found["login"] == login), True
        return {"login": login, **made}, True

    def revoke(self, login: str, by: str, check_mode: bool) -> bool:
        """Remove a login and record that; whether there was one."""
        if login not in self._read()["logins"]:
            return False

        def edit(content: dict[str, Any]) -> None:
            former = content["logins"].pop(login, None)
            if former:
                record = {key: former[key] for key in ("namespace", "issued", "issued_by")}
                content["revoked"].append(
                    {"login": login, **record, "revoked": now(), "revoked_by": by}
                )

        if not check_mode:
            self._change(edit)
        return True

    def revoked(self, login: str) -> dict[str, str] | None:
        """The latest record of a revoked login."""
        found = [item for item in self._read()["revoked"] if item["login"] == login]
        return found[-1] if found else None

    def _read(self) -> dict[str, Any]:
        content = json.loads(read(self.path) or "{}")
        if not isinstance(content, dict):
            raise ValueError("%s is not a list of logins" % self.path)
        return {"format": 1, "logins": {}, "revoked": [], **content}

    def _change(self, edit: Callable[[dict[str, Any]], Any]) -> None:
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        with exclusive(os.path.join(self.folder, "." + FILE + ".lock"), PATIENCE):
            content = self._read()
            edit(content)
            with replacing(self.path) as stream:
                json.dump(content, stream, indent=1, sort_keys=True)


def now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
