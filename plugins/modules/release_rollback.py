#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_rollback
short_description: Go back to a release that was proven healthy, with its configuration, and prove
  it healthy again
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Puts the configuration of a release back, lets supervisord bring it into force, waits until all
    programs run and the monitor is healthy, and makes the release active if it is not.
  - It is one task for what M(bnlnpps.swf_testbed.release),
    M(bnlnpps.swf_testbed.supervisor_daemon), M(bnlnpps.swf_testbed.supervisor_program) and
    M(bnlnpps.swf_testbed.testbed_health) do.
  - In a C(rescue), with O(failure), it goes back to the active release and then fails in any case.
    The message says what failed, and whether the old release serves again.
  - The database stays as it is, and so do the secrets, unless O(snapshots) says what they were
    before.
options:
  root:
    description: Directory of the instance that holds C(releases) and C(current).
    type: path
    required: true
  files:
    description: The files that belong to a release, as for M(bnlnpps.swf_testbed.release),
      C(supervisord.conf) first.
    type: list
    elements: path
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
      - Why, for the message, without O(failure). The release that the host goes back from is then
        no good elsewhere, and is no V(previous) to go back to.
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
      - With O(failure), do not fail but return RV(gate_failed), for a play that first lets the
        other hosts of its batch go back.
    type: bool
    default: false
  snapshots:
    description:
      - Snapshots of secrets that are not proven, as for M(bnlnpps.swf_testbed.known_good_files).
        They are restored too, and dropped when the release was proven healthy with them.
    type: list
    elements: path
    default: []
  defer:
    description:
      - With O(failure), only collect what failed, with the ends of the logs, in RV(gate_failed).
        For secrets that services and other hosts share, and that have to be restored there first.
    type: bool
    default: false
  keep:
    description: How many releases stay.
    type: int
    default: 3
  min_uptime:
    description: Seconds that every program must have run to count as running.
    type: float
    default: 3
  wait_timeout:
    description: Seconds to wait for that.
    type: float
    default: 60
  log_tail:
    description: Bytes of the log to show of a program that does not run.
    type: int
    default: 2000
  health_url:
    description: Address of the monitor's health page. Empty on hosts without a monitor.
    type: str
    default: ""
  health_timeout:
    description: Seconds to wait for the testbed to be healthy.
    type: float
    default: 60
  ca_cert:
    description: File of the CA certificates that the page is believed by.
    type: path
attributes:
  check_mode:
    support: full
    description: Says which files would change and which release would be active, and changes
      nothing.
  diff_mode:
    support: full
    description: Shows the files that change.
  action:
    support: full
    description: Has a corresponding action plugin, which does all of it.
"""

EXAMPLES = r"""
- name: Go back to the release before this one
  bnlnpps.swf_testbed.release_rollback:
    root: /opt/swf-testbed
    files: [/etc/swf-testbed/supervisord.conf]
    to: previous

- name: Change something, with a way back
  block:
    - name: Bring the new configuration into force
      bnlnpps.swf_testbed.supervisor_program:
        config: /etc/swf-testbed/supervisord.conf
        state: applied
  rescue:
    - name: Go back, and fail
      bnlnpps.swf_testbed.release_rollback:
        root: /opt/swf-testbed
        files: [/etc/swf-testbed/supervisord.conf]
        failure: "{{ ansible_failed_result }}"
        doing: "{{ ansible_failed_task.name }}"
"""

RETURN = r"""
id:
  description: Id of the release that serves now.
  returned: when there was one to go back to
  type: str
  sample: 0.0.9-77aa01cd
before:
  description: Id of the release that was active before.
  returned: when there was one to go back to
  type: str
  sample: 0.1.0-3f2a9c1e
serves:
  description: Whether that release was proven healthy.
  returned: always
  type: bool
  sample: true
gate_failed:
  description: What failed before, and what became of it.
  returned: with O(later=true) and O(defer=true)
  type: str
  sample: "The new configuration did not come up healthy. What failed: Run supervisord"
secrets:
  description: The files with secrets that were restored.
  returned: always
  type: list
  elements: str
  sample: [/etc/swf-testbed/secrets/api_token]
deferred:
  description: Whether nothing was put back yet, with O(defer=true).
  returned: always
  type: bool
  sample: false
"""
