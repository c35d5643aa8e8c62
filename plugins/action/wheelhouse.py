# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes an archive of all packages of a lock on the controller."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import (
    git_wheels,
    trees,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.git import GitError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.verdict import explained
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    ARGUMENTS,
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.inputs import OPTIONS
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.lock_file import (
    LockError,
    access,
    must_read,
    read,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.wheelhouse import collect
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._named_values import resolved
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._release_inputs import (
    NAMED,
    Preparation,
)

ARGUMENT_SPEC = {
    "dest": {"type": "path", "required": True},
    "pythons": {"type": "list", "elements": "str", "required": True},
    "architectures": {"type": "list", "elements": "str", "default": ["x86_64"]},
    "glibc": {"type": "str", "default": "2.34"},
    "tools_lock_file": {"type": "path", "required": True},
    **OPTIONS,
    "indexes": {"type": "list", "elements": "dict", "default": [], "options": ARGUMENTS},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = resolved(self._task.args, NAMED, task_vars or {}, self._templar)
        validated = ArgumentSpecValidator(ARGUMENT_SPEC).validate(arguments)
        if validated.error_messages:
            raise AnsibleActionFail("; ".join(validated.error_messages))
        options = validated.validated_parameters
        prepared = Preparation(options, self._task.check_mode)
        try:
            return self._made(options, prepared)
        except InstallError as error:
            raise AnsibleActionFail(
                explained(
                    error, prepared.indexes, options["requirements"], lock=options["lock_file"]
                )
            ) from None
        except (GitError, LockError, OSError, ValueError) as error:
            raise AnsibleActionFail(str(error)) from None

    def _made(self, options: Mapping[str, Any], prepared: Preparation) -> dict[str, Any]:
        inputs = prepared.inputs()
        lock, indexes = inputs.lock, normalised(inputs.indexes)
        wanted = [
            trees.file_name(source)
            for source in prepared.sources()
            if git_wheels.TREE in source["install"]
        ]
        tools = must_read(options["tools_lock_file"], "lock of the tools")
        content = json.dumps(
            [lock, tools, options["pythons"], options["architectures"], options["glibc"]]
        )
        digest = hashlib.sha256(content.encode()).hexdigest()
        note = options["dest"] + ".made-from"
        result = {"changed": True, "dest": options["dest"], "files": 0}
        if lock and os.path.exists(options["dest"]) and read(note) == digest:
            with tarfile.open(options["dest"]) as archive:
                return dict(result, changed=False, files=len(archive.getnames()))
        if self._task.check_mode:
            return result
        # tools are public packages, as in the module release_build
        public = [index for index in indexes if index["role"] == "primary"] or normalised(
            [{"name": "pypi"}]
        )
        with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as target:
            access(scratch, indexes)
            found = collect(
                [(lock, indexes), (tools, public)],
                options["pythons"],
                options["architectures"],
                options["glibc"],
                target,
                scratch,
            )
            for name in wanted:
                shutil.copy(os.path.join(str(inputs.directory), name), target)
            git_wheels.pack(target, options["dest"] + ".part")
        os.replace(options["dest"] + ".part", options["dest"])
        with open(note, "w", encoding="ascii") as stream:
            stream.write(digest)
        return dict(result, files=len(found) + len(wanted))
