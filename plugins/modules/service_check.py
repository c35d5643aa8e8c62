#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_check
short_description: Check that a host can run a service of the testbed
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Checks the version of the distribution's package for a service. It is that of the installed package,
    otherwise that of the package that apt would install.
  - Checks that the unit of the package does not run for others. A role that has configured it left a
    drop-in.
  - Fails with all problems, each with its fix.
options:
  name:
    description: Name of the service, for the messages.
    type: str
    required: true
  package:
    description: Package of the distribution.
    type: str
  version:
    description: Version that O(package) is known to have, if neither an installed package nor apt shows it.
    type: str
    default: ""
  minimum:
    description: Oldest version that the stack supports. Empty disables the check.
    type: str
    default: ""
  newer:
    description: How to get a newer version, for the message.
    type: str
    default: Upgrade the distribution
  unit:
    description: Unit of the package, which must not run for others.
    type: str
  drop_in:
    description: The drop-in of O(unit) that the role places.
    type: path
  other:
    description: How to use a server that the role does not run, for the messages.
    type: str
    required: true
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
"""

EXAMPLES = r"""
- name: Check that this host can run Redis for the testbed
  bnlnpps.swf_testbed.service_check:
    name: Redis
    unit: redis-server.service
    drop_in: /etc/systemd/system/redis-server.service.d/swf-testbed.conf
    other: set swf_testbed_redis_host to it
"""

RETURN = r"""
problems:
  description: The problems, each as one text with cause, evidence and fix.
  returned: always
  type: list
  elements: str
  sample: []
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
    message,
    numbered,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import captured
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.systemd import (
    SystemdError,
    systemctl,
)

POLICY = re.compile(r"^ +(?:Installed|Candidate): (?:\d+:)?(\d[\d.]*)", re.MULTILINE)


def packaged(package: str) -> str:
    """The version of a package that is installed, or that apt would install. Empty if neither is
    known."""
    try:
        shown = captured(["apt-cache", "policy", package], env=dict(os.environ, LC_ALL="C")).stdout
    except OSError:
        return ""
    found = POLICY.search(shown)
    return found[1].rstrip(".") if found else ""


def version_problem(options: Mapping[str, Any]) -> Iterator[Finding]:
    if not options["minimum"] or not options["package"]:
        return
    found = packaged(options["package"]) or options["version"]
    have, needed = (
        [int(part) for part in text.split(".") if part] for text in (found, options["minimum"])
    )
    # a version without its minor number is not compared further
    if have and have < needed[: len(have)]:
        yield finding(
            "version",
            "the %s of this host is too old for the stack" % options["name"],
            "%s has version %s, and the stack needs %s or newer"
            % (options["package"], found, options["minimum"]),
            "%s, or %s" % (options["newer"], options["other"]),
        )


def unit_problem(options: Mapping[str, Any]) -> Iterator[Finding]:
    if not options["unit"]:
        return
    shown = systemctl("system", "show", "--property=ActiveState,DropInPaths", options["unit"])
    state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if state.get("ActiveState") == "active" and options["drop_in"] not in state.get(
        "DropInPaths", ""
    ).split(" "):
        yield finding(
            "unit",
            "%s runs already, and this run would replace its configuration" % options["unit"],
            "it does not have the drop-in %s" % options["drop_in"],
            'For a server that others use, %s; otherwise run "systemctl disable --now %s", then run '
            "again" % (options["other"], options["unit"]),
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "package": {"type": "str"},
            "version": {"type": "str", "default": ""},
            "minimum": {"type": "str", "default": ""},
            "newer": {"type": "str", "default": "Upgrade the distribution"},
            "unit": {"type": "str"},
            "drop_in": {"type": "path"},
            "other": {"type": "str", "required": True},
        },
        required_together=[("unit", "drop_in")],
        supports_check_mode=True,
    )
    options = module.params
    try:
        found = [*version_problem(options), *unit_problem(options)]
    except SystemdError as error:
        module.fail_json(
            msg="The state of %s is unknown. Evidence: %s. Fix: use a host with systemd, or %s"
            % (options["unit"], error, options["other"])
        )
    problems = [message(item) for item in found]
    if problems:
        module.fail_json(
            msg="this host is not ready for %s, and nothing was changed on it:\n%s"
            % (options["name"], numbered(problems)),
            problems=problems,
        )
    module.exit_json(changed=False, problems=[])


if __name__ == "__main__":
    main()
