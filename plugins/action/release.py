# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of release: reads the lock, or makes it once for the fleet. Tokens end here; none travels to the host."""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._install_errors import explain
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._installers import InstallError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._lock_file import LockRefused, obtain

FOR_THE_CONTROLLER = ("username", "token")


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        indexes = arguments.get("indexes") or []
        arguments["indexes"] = [{key: value for key, value in index.items() if key not in FOR_THE_CONTROLLER}
                                for index in indexes]
        if arguments.get("state", "built") == "built":
            arguments["lock"] = self._lock(arguments, indexes)
            arguments["tools_lock"] = self._read(arguments.get("tools_lock_file"))
        return self._execute_module(
            module_name="bnlnpps.swf_testbed.release", module_args=arguments, task_vars=task_vars)

    def _read(self, path):
        try:
            with open(os.path.expanduser(str(path)), encoding="utf-8") as stream:
                return stream.read()
        except OSError as error:
            raise AnsibleActionFail("release: cannot read %s on the controller: %s" % (path, error.strerror)) from None

    def _lock(self, arguments, indexes):
        try:
            return obtain(
                os.path.expanduser(str(arguments["lock_file"])), arguments.get("requirements") or [], indexes,
                arguments.get("constraints_file"), arguments.get("min_python", "3.10"), self._task.check_mode)
        except KeyError:
            raise AnsibleActionFail("release: lock_file is required with state=built") from None
        except InstallError as error:
            raise AnsibleActionFail("release: " + explain(error)) from None
        except (LockRefused, OSError, ValueError) as error:
            raise AnsibleActionFail("release: %s" % error) from None
