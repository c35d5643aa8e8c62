# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller part of unpacked_archive: checks the archive, and copies it to the host."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.checksums import (
    CHECKSUM,
    mismatch,
)


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        checksum = str(arguments.get("checksum", ""))
        # the module reports an invalid checksum
        if not self._task.check_mode and arguments.get("src") and CHECKSUM.fullmatch(checksum):
            path = os.path.expanduser(str(arguments["src"]))
            try:
                problem = mismatch(path, checksum)
            except OSError as error:
                problem = str(error)
            if problem:
                result.update(
                    failed=True,
                    msg="The archive on the controller cannot be used. Evidence: %s. Fix: compare "
                    "the checksum with that of the publisher, or remove the file and run again"
                    % problem,
                )
                return result
            remote = self._connection._shell.join_path(
                self._connection._shell.tmpdir, "archive.tar.gz"
            )
            self._transfer_file(path, remote)
            self._fixup_perms2((self._connection._shell.tmpdir, remote))
            arguments["src"] = remote
        result.update(
            self._execute_module(
                module_name="bnlnpps.swf_testbed.unpacked_archive",
                module_args=arguments,
                task_vars=task_vars,
            )
        )
        return result
