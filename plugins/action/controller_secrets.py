# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports the secrets of this controller to a vault file, or imports them from one."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    CertificateError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._held_secrets import HeldSecrets
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._play_hosts import (
    variables_of_hosts,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._secrets_export import exported
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._secrets_file import (
    FileError,
    SecretsFile,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._secrets_import import imported


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("state", "path", "force"))

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _result, options = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "choices": ["exported", "imported"], "required": True},
                "path": {"type": "path", "required": True},
                "force": {"type": "bool", "default": False},
            }
        )
        if not options["path"]:
            raise AnsibleActionFail(
                "controller_secrets: no file is named. Evidence: path is empty. Fix: make %s "
                "FILE=inventory/group_vars/all/vault.yml"
                % options["state"].replace("ed", "-secrets")
            )
        file = SecretsFile(os.path.abspath(options["path"]), self._loader)
        hosts = {
            host: HeldSecrets(variables, self._templar)
            for host, variables in variables_of_hosts(self._task, task_vars or {})
        }
        try:
            if options["state"] == "exported":
                result = exported(file, hosts, self._task.check_mode)
            else:
                result = imported(file, hosts, options["force"], self._task.check_mode)
        except (CertificateError, FileError) as error:
            raise AnsibleActionFail("controller_secrets: %s" % error) from None
        except OSError as error:
            raise AnsibleActionFail(
                "controller_secrets: cannot read or write a file on the controller. Evidence: %s. "
                "Fix: correct that, then run again" % error
            ) from None
        Display().display(result["msg"])
        return result
