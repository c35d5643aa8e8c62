#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_unit
short_description: Run a systemd service with its present configuration
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Enables and starts a service, and waits until it listens.
  - A running service is restarted or reloaded if one of its files was changed since it started or
    reloaded. No handler is needed. If a run is interrupted between the change of the file and the
    restart, the next run restarts the service.
  - If the service does not start, the message contains the end of its journal.
options:
  unit:
    description: Name of the unit.
    type: str
    required: true
  restart_on:
    description:
      - Files that the service reads only when it starts, including its unit file and drop-ins. A
        directory stands for the list of its files.
    type: list
    elements: path
    default: []
  reload_on:
    description: Files that the service reads again when it reloads.
    type: list
    elements: path
    default: []
  placed:
    description:
      - The result C(files) of P(bnlnpps.swf_testbed.config_files#module). In check mode it predicts
        the restart, because no file is placed.
    type: list
    elements: dict
    default: []
  listen:
    description: Names or addresses at which the service must accept connections. For V(0.0.0.0) and
      V(::) the module connects to the loopback address.
    type: list
    elements: str
    default: []
  port:
    description: Port at all addresses in O(listen).
    type: int
  timeout:
    description: Seconds to wait for the service to run and listen.
    type: int
    default: 60
  log_lines:
    description: Number of lines of the journal in the message of a failure.
    type: int
    default: 20
attributes:
  check_mode:
    support: full
    description: Predicts the actions and does not wait.
  diff_mode:
    support: none
    description: There is no text to compare.
"""

EXAMPLES = r"""
- name: Place the configuration
  bnlnpps.swf_testbed.config_files:
    files:
      - dest: /etc/app/app.conf
        src: app.conf.j2
      - dest: /etc/systemd/system/app.service
        src: app.service.j2
  register: app_files

- name: Run the service
  bnlnpps.swf_testbed.systemd_unit:
    unit: app.service
    restart_on: [/etc/systemd/system/app.service]
    reload_on: [/etc/app/app.conf]
    placed: "{{ app_files.files }}"
    listen: [127.0.0.1]
    port: 8080
"""

RETURN = r"""
actions:
  description: The actions, in this order, in check mode the predicted ones. Of V(daemon-reload),
    V(enable), V(start), V(restart), V(reload).
  returned: always
  type: list
  elements: str
  sample: [daemon-reload, restart]
newer:
  description: The files that the service had not read yet.
  returned: always
  type: list
  elements: path
  sample: [/etc/systemd/system/app.service]
"""

import os
import socket
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import settle
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.systemd import (
    SystemdError,
    journal,
    systemctl,
    version,
)

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "NeedDaemonReload",
    "FragmentPath",
    "DropInPaths",
    "InactiveExitTimestampMonotonic",
    "StateChangeTimestampMonotonic",
)
ENABLED = ("enabled", "enabled-runtime", "static", "generated", "alias", "indirect")
UNIT_FILES = "/etc/systemd/system/"
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
POLL_SECONDS = 0.25


def show(unit: str) -> dict[str, str]:
    """The properties of a unit: {name: text}."""
    output = systemctl("system", "show", unit, "--property=" + ",".join(PROPERTIES))
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def newer_than(paths: list[str], microseconds: int) -> list[str]:
    """The paths that were changed after a time of the monotonic clock, which systemd records.

    The ages are compared. If the system clock was set back, an older file counts as new, once: see
    :func:`files.settle`.
    """
    age_of_service = time.monotonic() - microseconds / 1e6
    return [
        path
        for path in paths
        if os.path.lexists(path) and time.time() - os.lstat(path).st_ctime < age_of_service
    ]


def unread(state: dict[str, Any], paths: list[str]) -> list[str]:
    """Unit files and drop-ins that systemd has not loaded; NeedDaemonReload does not cover the first
    drop-in of a unit."""
    loaded = [state["FragmentPath"], *state["DropInPaths"].split()]
    return [path for path in paths if path.startswith(UNIT_FILES) and path not in loaded]


def plan(state: dict[str, Any], parameters: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The necessary actions, and the files that cause them: (actions, paths)."""
    placed = {item["path"] for item in parameters["placed"]}
    # adding or removing a file changes its directory
    placed |= {os.path.dirname(path) for path in placed}

    def since(files: list[str], event: str) -> set[str]:
        return set(newer_than(files, int(state[event] or 0))) | (placed & set(files))

    loaded = state["LoadState"] == "loaded"
    new_units = unread(state, parameters["restart_on"])
    newer = set()
    if not loaded or state["ActiveState"] in ("inactive", "failed", "deactivating"):
        action = "start"
    else:
        newer = since(parameters["restart_on"], "InactiveExitTimestampMonotonic") | set(new_units)
        action = "restart" if newer else ""
        if not newer:
            newer = since(parameters["reload_on"], "StateChangeTimestampMonotonic")
            action = "reload" if newer else ""
    reload = (
        not loaded
        or state["NeedDaemonReload"] == "yes"
        or new_units
        or any(path.startswith(UNIT_FILES) for path in newer)
    )
    enabled = state["UnitFileState"] in ENABLED
    actions = [
        *(["daemon-reload"] if reload else []),
        *([] if enabled else ["enable"]),
        *([action] if action else []),
    ]
    return actions, sorted(newer)


def refusal(host: str, port: int) -> str:
    """Why no service accepts connections there; an empty text if one does."""
    host = host.strip("[]")
    try:
        socket.create_connection((ANY_ADDRESS.get(host, host), port), timeout=2).close()
    except OSError as error:
        return "nothing listens on %s port %d: %s" % (host, port, error.strerror or error)
    return ""


def problem(parameters: dict[str, Any]) -> str:
    """Why the service is not ready; an empty text if it is."""
    state = show(parameters["unit"])["ActiveState"]
    if state not in ("active", "reloading"):
        return "it is %s" % state
    return next(
        filter(None, (refusal(host, parameters["port"]) for host in parameters["listen"])), ""
    )


def wait(parameters: dict[str, Any]) -> str:
    """Wait until the service is ready; returns the problem that remains after the timeout."""
    deadline = time.monotonic() + parameters["timeout"]
    while True:
        text = problem(parameters)
        if not text or time.monotonic() > deadline:
            return text
        time.sleep(POLL_SECONDS)


def carry_out(actions: list[str], unit: str) -> None:
    for action in actions:
        if action == "daemon-reload":
            systemctl("system", action)
            continue
        if action in ("start", "restart"):
            # a service that failed too often does not start before its counter is reset; an
            # unknown unit has none
            try:
                systemctl("system", "reset-failed", unit)
            except SystemdError:
                pass
        systemctl("system", action, unit)


def fail(module: AnsibleModule, cause: str, actions: list[str], newer: list[str]) -> None:
    unit = module.params["unit"]
    tail = journal(unit, "system", module.params["log_lines"]) or "(its journal is empty)"
    module.fail_json(
        msg="%s is not ready. Evidence: %s; the end of its journal:\n%s\nFix: check systemctl status "
        "%s, fix the cause, then run again"
        % (unit, cause, "\n".join("  " + line for line in tail.splitlines()), unit),
        actions=actions,
        newer=newer,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "restart_on": {"type": "list", "elements": "path", "default": []},
            "reload_on": {"type": "list", "elements": "path", "default": []},
            "placed": {"type": "list", "elements": "dict", "default": []},
            "listen": {"type": "list", "elements": "str", "default": []},
            "port": {"type": "int"},
            "timeout": {"type": "int", "default": 60},
            "log_lines": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    hold(module)
    unit = module.params["unit"]
    actions: list[str] = []
    newer: list[str] = []
    if module.params["listen"] and module.params["port"] is None:
        module.fail_json(msg="listen requires port")
    if version() is None:
        module.fail_json(
            msg="%s cannot run on this host. Evidence: systemd is not its init system. Fix: run the "
            "service on a host with systemd" % unit
        )
    try:
        actions, newer = plan(show(unit), module.params)
        if module.check_mode:
            module.exit_json(changed=bool(actions), actions=actions, newer=newer)
        settle(module.params["restart_on"] + module.params["reload_on"] if actions else [], "ctime")
        carry_out(actions, unit)
    except SystemdError as error:
        fail(module, str(error), actions, newer)
    cause = wait(module.params)
    if cause:
        fail(module, cause, actions, newer)
    module.exit_json(changed=bool(actions), actions=actions, newer=newer)


if __name__ == "__main__":
    main()
