#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_activate
short_description: Activate a release, and save its configuration for a rollback
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Saves O(files) for the release, lets C(current) name it, by one atomic rename, and C(previous)
    the one that was active, and then removes old releases as M(bnlnpps.swf_testbed.release_prune)
    does.
  - It is refused if O(files) are for another release.
  - The copies of O(files), with modes and owners, are in the directory C(known_good) next to the
    first one. M(bnlnpps.swf_testbed.release_rollback) restores them.
options:
  files:
    default: []
  id:
    description: Id of the release.
    type: str
    required: true
  forget:
    description: The release that the host rolled back from because it failed on another host. Its
      saved configuration is removed, so that V(previous) of
      M(bnlnpps.swf_testbed.release_rollback) does not select it.
    type: str
  snapshots:
    description: Snapshots of secrets that are known good now. They are dropped, as by
      M(bnlnpps.swf_testbed.known_good_files).
    type: list
    elements: path
    default: []
extends_documentation_fragment:
  - bnlnpps.swf_testbed.release
  - bnlnpps.swf_testbed.release.keep
attributes:
  check_mode:
    support: full
    description: Predicts whether the release would be activated. Old releases are not predicted.
  diff_mode:
    support: full
    description: Shows which release is active.
seealso:
  - module: bnlnpps.swf_testbed.release_build
  - module: bnlnpps.swf_testbed.release_rollback
"""

EXAMPLES = r"""
- name: Activate the release after the health check
  bnlnpps.swf_testbed.release_activate:
    root: /opt/swf-testbed
    id: "{{ release.id }}"
    files: [/etc/swf-testbed/supervisord.conf]
"""

RETURN = r"""
id:
  description: Id of the release.
  returned: success
  type: str
  sample: 0.1.0-3f2a9c1e
previous:
  description: Id of the release that was active before, or null.
  returned: success
  type: str
  sample: 0.0.9-77aa01cd
removed:
  description: Directories that were removed.
  returned: success
  type: list
  elements: str
  sample: [/opt/swf-testbed/releases/0.0.7-1b3f00aa]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.modes import set_umask
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    config_snapshot,
    known_good,
    store,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    active,
    exclusive_lock,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.failures import reported


def activated(options: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    root, release_id, files = options["root"], options["id"], options["files"]
    before = active(root)
    saved = not files or config_snapshot.is_in_use(files, release_id)
    result: dict[str, Any] = {
        "changed": before != release_id or not saved,
        "id": release_id,
        "previous": before,
        "removed": [],
    }
    if result["changed"]:
        result["diff"] = {
            "before": "%s\n" % before,
            "after": "%s\n" % release_id,
            "before_header": "current",
            "after_header": "current",
        }
    if check_mode:
        return result
    with exclusive_lock(root):
        configured = store.named_by(files[0])[0] if files else release_id
        if configured != release_id:
            raise store.ReleaseError(
                "The release %s cannot be activated: another run works on this host. Evidence: %s "
                "is for the release %s. Fix: wait for the other run, then run again"
                % (release_id, files[0], configured)
            )
        # before the link changes: an active release always has a saved configuration
        if files and not saved:
            config_snapshot.save(files, release_id)
        if before != release_id:
            store.activate(root, release_id)
        if options["forget"] not in (None, release_id):
            config_snapshot.remove(files, options["forget"])
        for snapshot in options["snapshots"]:
            known_good.drop(snapshot)
        result["removed"] = store.surplus(root, options["keep"], files)
        store.remove(result["removed"], files)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "id": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
            "forget": {"type": "str"},
            "snapshots": {"type": "list", "elements": "path", "default": []},
            "keep": {"type": "int", "default": 3},
        },
        supports_check_mode=True,
    )
    hold(module)
    set_umask()
    with reported(module):
        module.exit_json(**activated(module.params, module.check_mode))


if __name__ == "__main__":
    main()
