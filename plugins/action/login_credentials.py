# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issues the credentials of one developer for a shared testbed, or revokes them, on the controller."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import LockHeld
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._controller import here
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._values import Values
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._issued_logins import (
    VARIABLE,
    IssuedLogins,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._login_credentials import (
    HEAD,
    Lab,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._play_hosts import (
    variables_of_hosts,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._secrets_file import (
    FileError,
    SecretsFile,
)


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("state", "login", "path"))

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": ["issued", "revoked"], "required": True},
                "login": {"type": "str", "required": True},
                "path": {"type": "path", "default": ""},
            }
        )
        login = options["login"]
        hosts = [
            Values(variables, self._templar)
            for _host, variables in variables_of_hosts(self._task, task_vars or {})
        ]
        lab = Lab(hosts)
        why = lab.refusal(login) or self._elsewhere(lab)
        if why:
            raise AnsibleActionFail("login_credentials: %s" % why)
        directory = os.path.expanduser(lab.values.text("swf_testbed_controller_dir"))
        identity = here(directory)
        by = "%(login)s on %(controller)s" % identity
        try:
            if options["state"] == "issued":
                result = self._issued(lab, IssuedLogins(directory), login, options["path"], by)
            else:
                result = self._revoked(lab, IssuedLogins(directory), login, by)
        except (FileError, LockHeld) as error:
            raise AnsibleActionFail("login_credentials: %s" % error) from None
        except (OSError, ValueError, KeyError) as error:
            raise AnsibleActionFail(
                "login_credentials: cannot read or write a file on the controller. Evidence: %s. "
                "Fix: correct that, then run again" % error
            ) from None
        except AnsibleError as error:
            raise AnsibleActionFail("login_credentials: %s" % error) from None
        Display().display(result["msg"])
        return result

    def _elsewhere(self, lab: Lab) -> str | None:
        if not lab.values.is_set(VARIABLE):
            return None
        return (
            "the list of issued logins is not on this controller, and nothing was changed. Evidence: "
            "the inventory sets %s. Fix: change it there, then run site.yml" % VARIABLE
        )

    def _issued(
        self, lab: Lab, logins: IssuedLogins, login: str, path: str, by: str
    ) -> dict[str, Any]:
        path = os.path.abspath(path or os.path.join(os.path.dirname(logins.folder), login + ".yml"))
        file, check_mode = SecretsFile(path, self._loader), self._task.check_mode
        # before the login is recorded
        vault_id, password = file.to_encrypt("issue-credentials LOGIN=%s" % login, login)
        former = file.read()
        issued, new = logins.issue(login, by, check_mode)
        values = lab.credentials(issued)
        different = former != values
        if different and not check_mode:
            file.write(values, vault_id, password, HEAD)
        steps = list(lab.instructions(login, path))
        would = "would be " if check_mode else ""
        lines = [
            "The login %s was issued before; its secrets did not change." % login
            if not new
            else "The login %s %s." % (login, "would be issued" if check_mode else "is issued"),
            "%s %swritten for the inventory of %s, encrypted with the vault id %s."
            % (path, would or "is " if different else "was ", login, vault_id),
            lab.loopback(),
            *steps,
        ]
        return {
            "changed": new or different,
            "login": login,
            "namespace": issued["namespace"],
            "path": path,
            "names": list(values),
            "instructions": steps,
            "msg": "\n".join(filter(None, lines)),
        }

    def _revoked(self, lab: Lab, logins: IssuedLogins, login: str, by: str) -> dict[str, Any]:
        check_mode = self._task.check_mode
        changed = logins.revoke(login, by, check_mode)
        record = logins.revoked(login)
        steps = list(lab.revocation(login)) if changed or record else []
        if changed:
            done = "The login %s %s revoked." % (login, "would be" if check_mode else "is")
        elif record:
            done = "The login %s was revoked on %s UTC by %s." % (
                login,
                record["revoked"],
                record["revoked_by"],
            )
        else:
            raise AnsibleActionFail(
                "login_credentials: there is no login %s. Evidence: %s has neither issued nor "
                "revoked it. Fix: correct the name, or run this on the controller that issued it; "
                "the issued logins are: %s"
                % (
                    login,
                    logins.path,
                    ", ".join(item["login"] for item in logins.logins()) or "none",
                )
            )
        return {
            "changed": changed,
            "login": login,
            "namespace": login,
            "instructions": steps,
            "msg": "\n".join([done, *steps]),
        }
