#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_rollback
short_description: Roll back to a known good release and its configuration, and check its health
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Restores the configuration of a release, lets supervisord apply it, waits until all programs run
    and the testbed is healthy, and activates the release if it is not active.
  - The health page and the probes are those that were saved with the release, and the message
    names them. For a release without them, O(health_url), O(probes) and O(components) are used.
    Without any, the health is not checked, and the message reports that.
  - Before programs start, the steps of the stack run that were saved with the release for a rollback,
    as by M(bnlnpps.swf_testbed.stack_steps). If one fails, the rollback continues, and the message
    reports it.
  - Programs start in the order of O(bnlnpps.swf_testbed.supervisor_program#module:start_order).
  - It is one task for M(bnlnpps.swf_testbed.stack_steps),
    M(bnlnpps.swf_testbed.supervisor_daemon),
    M(bnlnpps.swf_testbed.supervisor_program), M(bnlnpps.swf_testbed.testbed_health) and
    M(bnlnpps.swf_testbed.release_activate).
  - In a C(rescue), with O(failure), it rolls back to the active release and then fails in any case.
    The message has the failure, and whether the old release is active again.
  - The database is not changed, and neither are the secrets, unless O(snapshots) has their former
    content.
options:
  files:
    required: true
  to:
    description: Id of the release, or V(active), or V(previous).
    type: str
    default: active
  failure:
    description: The result of the task that failed, C(ansible_failed_result). With it, the module
      fails in any case.
    type: dict
  because:
    description:
      - The reason, for the message, without O(failure). The release that the host rolls back from
        then counts as failed, and V(previous) does not select it.
    type: str
    default: ""
  doing:
    description: Name of the task that failed, for the message.
    type: str
    default: ""
  release:
    description: Id of the release that failed, for the message.
    type: str
    default: ""
  later:
    description:
      - With O(failure), do not fail but return RV(gate_failed), for a play that first rolls back
        the other hosts of its batch.
    type: bool
    default: false
  snapshots:
    description:
      - Snapshots of secrets that are not known good, as for
        M(bnlnpps.swf_testbed.known_good_files). They are restored, and dropped when the release is
        healthy with them.
    type: list
    elements: path
    default: []
  defer:
    description:
      - With O(failure), only collect the failure, with the ends of the logs, in RV(gate_failed).
        For secrets that services and other hosts share, and that have to be restored there first.
    type: bool
    default: false
  min_uptime:
    description: Seconds that every program must have run to count as running.
    type: float
    default: 3
  wait_timeout:
    description: Seconds to wait for that.
    type: float
    default: 60
  log_tail:
    description: Bytes of the log to return of a program that does not run.
    type: int
    default: 2000
  health_url:
    description: Address of the health page of the monitor, for a release without a saved one.
      Empty on hosts without a monitor.
    type: str
    default: ""
  probes:
    description: As O(bnlnpps.swf_testbed.testbed_health#module:probes), for a release without saved
      ones. Those of programs that the release does not have are left out.
    type: list
    elements: dict
    default: []
  components:
    description: As O(bnlnpps.swf_testbed.testbed_health#module:components), for a release without
      saved ones.
    type: list
    elements: dict
    default: []
  health_timeout:
    description: Seconds to wait for the testbed to be healthy.
    type: float
    default: 60
  ca_cert:
    description: File of the CA certificates to trust for O(health_url).
    type: path
extends_documentation_fragment:
  - bnlnpps.swf_testbed.release
  - bnlnpps.swf_testbed.release.keep
attributes:
  check_mode:
    support: full
    description: Predicts which files would change and which release would be active, and changes
      nothing.
  diff_mode:
    support: full
    description: Shows the files that change.
  action:
    support: full
    description: Has a corresponding action plugin, which runs all steps. The module itself restores
      the configuration only.
"""

EXAMPLES = r"""
- name: Roll back to the previous release
  bnlnpps.swf_testbed.release_rollback:
    root: /opt/swf-testbed
    files: [/etc/swf-testbed/supervisord.conf]
    to: previous

- name: Apply a configuration, with a rollback
  block:
    - name: Apply the new configuration
      bnlnpps.swf_testbed.supervisor_program:
        config: /etc/swf-testbed/supervisord.conf
        state: applied
  rescue:
    - name: Roll back, and fail
      bnlnpps.swf_testbed.release_rollback:
        root: /opt/swf-testbed
        files: [/etc/swf-testbed/supervisord.conf]
        failure: "{{ ansible_failed_result }}"
        doing: "{{ ansible_failed_task.name }}"
"""

RETURN = r"""
id:
  description: Id of the release that is active now.
  returned: when there is a release to roll back to
  type: str
  sample: 0.0.9-77aa01cd
before:
  description: Id of the release that was active before.
  returned: when there is a release to roll back to
  type: str
  sample: 0.1.0-3f2a9c1e
serves:
  description: Whether the programs of that release run, and its health was good if it was checked.
  returned: always
  type: bool
  sample: true
health_checked:
  description: Whether the health of that release was checked.
  returned: always
  type: bool
  sample: true
probes:
  description: The names of the probes that checked it.
  returned: when the health was checked
  type: list
  elements: str
  sample: [health page, the API answers]
probes_saved:
  description: Whether these were saved with that release. Otherwise they are those of the options.
  returned: when the health was checked
  type: bool
  sample: true
failed_step:
  description: The failure of a step of the stack.
  returned: when one failed
  type: str
  sample: "The step collect failed. Evidence: manage collect ended with the status 3 and printed nothing."
gate_failed:
  description: The failure, and the result of the rollback.
  returned: with O(later=true) and O(defer=true)
  type: str
  sample: "The new configuration did not become healthy. Failed task: Run supervisord"
secrets:
  description: The files with secrets that were restored.
  returned: always
  type: list
  elements: str
  sample: [/etc/swf-testbed/secrets/api_token]
deferred:
  description: Whether nothing was restored yet, with O(defer=true).
  returned: always
  type: bool
  sample: false
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.modes import set_umask
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    config_snapshot,
    store,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    active,
    exclusive_lock,
    manifest,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.failures import reported

ARGUMENTS: dict[str, dict[str, Any]] = {
    "root": {"type": "path", "required": True},
    "files": {"type": "list", "elements": "path", "required": True},
    "to": {"type": "str", "default": "active"},
    "failure": {"type": "dict"},
    "because": {"type": "str", "default": ""},
    "doing": {"type": "str", "default": ""},
    "release": {"type": "str", "default": ""},
    "later": {"type": "bool", "default": False},
    "snapshots": {"type": "list", "elements": "path", "default": []},
    "defer": {"type": "bool", "default": False},
    "keep": {"type": "int", "default": 3},
    "min_uptime": {"type": "float", "default": 3},
    "wait_timeout": {"type": "float", "default": 60},
    "log_tail": {"type": "int", "default": 2000},
    "health_url": {"type": "str", "default": ""},
    "probes": {"type": "list", "elements": "dict", "default": []},
    "components": {"type": "list", "elements": "dict", "default": []},
    "health_timeout": {"type": "float", "default": 60},
    "ca_cert": {"type": "path"},
}


def restored(root: str, to: str, files: list[str], check_mode: bool) -> dict[str, Any]:
    """Restore the configuration of a release."""
    release_id = {"active": active(root), "previous": store.previous(root)}.get(to, to)
    if release_id is None:
        raise store.ReleaseError("This host has no %s release to roll back to" % to)
    there = store.existing(root, "releases")
    path = os.path.join(root, "releases", release_id)
    if manifest(path) is None:
        raise store.ReleaseError(
            "The release %s is not on this host, or is damaged. Evidence: the releases on this "
            "host are %s. Fix: name one of them" % (release_id, ", ".join(there) or "none")
        )
    if not config_snapshot.has(files, release_id):
        saved = [name for name in there if config_snapshot.has(files, name)]
        raise store.ReleaseError(
            "No configuration is saved for the release %s: it was never active and healthy on this "
            "host, or failed on another host of its batch. Evidence: there is one for %s. Fix: "
            "name one of these" % (release_id, ", ".join(saved) or "none")
        )
    different = [
        pair
        for pair in config_snapshot.pairs(files, release_id)
        if config_snapshot.read(pair[0]) != config_snapshot.read(pair[1])
    ]
    diff = [
        {"before": text(path), "after": text(copy), "before_header": path, "after_header": path}
        for path, copy in different
    ]
    if different and not check_mode:
        with exclusive_lock(root):
            config_snapshot.restore(files, release_id)
    return {
        "changed": bool(different),
        "id": release_id,
        "active": active(root),
        "diff": diff,
        "health": config_snapshot.health(files, release_id),
    }


def text(path: str) -> str:
    return (config_snapshot.read(path) or b"").decode("utf-8", "replace")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    hold(module)
    set_umask()
    options = module.params
    with reported(module):
        module.exit_json(
            **restored(options["root"], options["to"], options["files"], module.check_mode)
        )


if __name__ == "__main__":
    main()
