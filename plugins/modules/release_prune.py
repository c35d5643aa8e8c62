#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_prune
short_description: Remove old releases
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Removes all releases except the newest O(keep), incomplete releases, and unused tools.
  - The active release, the previous one, and the one that the first of O(files) names are never
    removed.
options:
  files:
    default: []
  id:
    description: Remove this release only. It is refused if the release is in use.
    type: str
extends_documentation_fragment:
  - bnlnpps.swf_testbed.release
  - bnlnpps.swf_testbed.release.keep
attributes:
  check_mode:
    support: full
    description: Returns the directories that would be removed, and removes nothing.
  diff_mode:
    support: full
    description: Shows the directories that are removed.
"""

EXAMPLES = r"""
- name: Remove all releases but the active and the previous one
  bnlnpps.swf_testbed.release_prune:
    root: /opt/swf-testbed
    files: [/etc/swf-testbed/supervisord.conf]
    keep: 2
"""

RETURN = r"""
removed:
  description: Directories that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/opt/swf-testbed/releases/0.0.7-1b3f00aa]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.modes import set_umask
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import store
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    exclusive_lock,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.failures import reported


def surplus(root: str, release_id: str | None, keep: int, files: list[str]) -> list[str]:
    """The directories to remove."""
    if release_id is None:
        return store.surplus(root, keep, files)
    if release_id in store.releases_in_use(root, files):
        raise store.ReleaseError(
            "The release %s was not removed: it is in use. Evidence: it is the active release, the "
            "previous one, or the one that the configuration names. Fix: activate another release "
            "first" % release_id
        )
    path = os.path.join(root, "releases", release_id)
    return [path] if os.path.isdir(path) else []


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "id": {"type": "str"},
            "files": {"type": "list", "elements": "path", "default": []},
            "keep": {"type": "int", "default": 3},
        },
        supports_check_mode=True,
    )
    hold(module)
    set_umask()
    root, files = module.params["root"], module.params["files"]
    with reported(module):
        removed = surplus(root, module.params["id"], module.params["keep"], files)
        if removed and not module.check_mode:
            with exclusive_lock(root):
                store.remove(removed, files)
        diff = {"before": "".join(path + "\n" for path in removed), "after": ""}
        module.exit_json(changed=bool(removed), removed=removed, diff=diff)


if __name__ == "__main__":
    main()
