#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: known_good_files
short_description: Restore the files that a failed change replaced, or drop their snapshot after a
  successful change
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - M(bnlnpps.swf_testbed.config_files) with O(bnlnpps.swf_testbed.config_files#module:known_good)
    saves files before it replaces them. This module takes the next step.
  - It restarts nothing. Programs that read the files at their start are restarted by
    M(bnlnpps.swf_testbed.supervisor_daemon) or M(bnlnpps.swf_testbed.systemd_unit), which detect
    that the files are newer than the processes.
  - No content of a file is part of a result, a diff or a log.
options:
  snapshots:
    description: Directories of snapshots. If one does not exist, its files are known good, and it is
      skipped.
    type: list
    elements: path
    required: true
  state:
    description:
      - V(restored) restores the files, with modes and owners, and removes those that did not exist.
        The snapshot stays, since the restored files are not verified yet. After a first
        installation there is nothing to restore.
      - V(dropped) removes the snapshots.
    type: str
    choices: [restored, dropped]
    required: true
attributes:
  check_mode:
    support: full
    description: Returns the files that would be restored, or the snapshots that would be dropped.
  diff_mode:
    support: none
    description: The files are secrets.
seealso:
  - module: bnlnpps.swf_testbed.config_files
"""

EXAMPLES = r"""
- name: Change the secrets, and restore the former ones if the application does not work with them
  block:
    - name: Place the secrets
      bnlnpps.swf_testbed.config_files:
        files:
          - dest: /etc/app/secrets/token
            content: "{{ app_token }}"
            secret: true
        known_good: /etc/app/secrets.known-good

    - name: Test the application
      ansible.builtin.command: /usr/bin/app test
      changed_when: false

    - name: Drop the former secrets
      bnlnpps.swf_testbed.known_good_files:
        snapshots: [/etc/app/secrets.known-good]
        state: dropped
  rescue:
    - name: Restore the former secrets
      bnlnpps.swf_testbed.known_good_files:
        snapshots: [/etc/app/secrets.known-good]
        state: restored
"""

RETURN = r"""
paths:
  description: The files that were restored, or the snapshots that were dropped, or would be.
  returned: always
  type: list
  elements: str
  sample: [/etc/app/secrets/token]
"""

import os
from collections.abc import Iterable

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import known_good


def done(snapshots: Iterable[str], state: str, check: bool) -> list[str]:
    """The paths that were restored or dropped, or would be."""
    if state == "restored":
        change = known_good.different if check else known_good.restore
        return [path for folder in snapshots for path in sorted(change(folder))]
    return [
        folder
        for folder in snapshots
        if (os.path.isdir(folder) if check else known_good.drop(folder))
    ]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "snapshots": {"type": "list", "elements": "path", "required": True},
            "state": {"type": "str", "choices": ["restored", "dropped"], "required": True},
        },
        supports_check_mode=True,
    )
    hold(module)
    snapshots, state = module.params["snapshots"], module.params["state"]
    try:
        paths = done(snapshots, state, module.check_mode)
    except (OSError, ValueError, KeyError) as error:
        module.fail_json(
            msg="Known good files cannot be %s. Evidence: %s. Fix: free the path or the disk, then "
            "run the same command again; the snapshot is unchanged: %s."
            % (state, error, ", ".join(snapshots))
        )
    module.exit_json(changed=bool(paths), paths=paths)


if __name__ == "__main__":
    main()
