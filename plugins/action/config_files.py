# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller part of config_files: renders the templates, and marks secrets before the transfer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import LockHeld
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.text import not_text
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _registry
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._collection import (
    collection_version,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._held_secrets import HeldSecrets
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._variables import (
    AS_TEXT,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._named_values import (
    resolved,
    value_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._provenance_check import (
    digests,
    stamp,
)


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        arguments = resolved(self._task.args, ("files",), task_vars, self._templar)
        arguments["files"] = [
            self._render(dict(item), task_vars) for item in arguments.get("files") or []
        ]
        registry, users = arguments.pop("registry", None), arguments.pop("users_of", None)
        if arguments.get("manifest"):
            arguments["manifest"] = dict(arguments["manifest"], collection=collection_version())
            if not self._task.check_mode:
                arguments["provenance"] = self._provenance(
                    arguments.get("secret_names") or [], task_vars
                )
            if users:
                arguments["manifest"]["users"] = _registry.users_of(users, task_vars)
        # first, like the manifest. Not a change of the host: a second controller records it, too
        if registry:
            self._register(registry, arguments["manifest"], task_vars)
        return self._execute_module(
            module_name="bnlnpps.swf_testbed.config_files",
            module_args=arguments,
            task_vars=task_vars,
        )

    def _provenance(self, names: Iterable[str], task_vars: dict[str, Any]) -> dict[str, Any]:
        held = HeldSecrets(task_vars, self._templar)
        change: dict[str, Any] = dict(stamp(held.directory))
        if names:
            # generated now, if it does not exist
            key = str(value_of("secret_names", "swf_testbed_digest_key", task_vars, self._templar))
            change.update(key=key, secrets=digests(key, names, held))
        return change

    def _register(
        self, registry: dict[str, Any], manifest: dict[str, Any], task_vars: dict[str, Any]
    ) -> bool:
        """Record on the controller that the instance uses its directory, and the index."""
        user = _registry.user_name(
            manifest["instance"], task_vars["inventory_hostname"], manifest["scope"]
        )
        try:
            return _registry.register(
                os.path.expanduser(str(registry["directory"])),
                user,
                str(registry["index_url"]),
                self._task.check_mode,
            )
        except (LockHeld, OSError, ValueError) as error:
            raise AnsibleActionFail(
                "config_files: cannot update the list of instances on the controller: %s" % error
            ) from None

    def _render(self, item: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        dest = item.get("dest", "a file without dest")
        if ("src" in item) == ("content" in item):
            raise AnsibleActionFail("config_files: %s requires either src or content" % dest)
        if "src" in item:
            # the lookup renders like the template action, and is the public interface to render a file
            # to a string
            lookup = lookup_loader.get(
                "ansible.builtin.template", loader=self._loader, templar=self._templar
            )
            try:
                path = self._find_needle("templates", item.pop("src"))
                text = lookup.run([path], variables=task_vars, **AS_TEXT)[0]
            except AnsibleError as error:
                raise AnsibleActionFail(
                    "config_files: cannot render %s. Evidence: %s. Fix: correct the template or its "
                    "variables" % (dest, error)
                ) from None
        else:
            text = item.pop("content")
            problem = not_text("the content of %s" % dest, text) if item.get("secret") else None
            if problem:
                raise AnsibleActionFail("config_files: " + problem)
        item["secret_content" if item.get("secret") else "content"] = str(text)
        return item
