#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supervisor_daemon
short_description: Start or stop supervisord, with systemd or as a separate daemon
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Starts supervisord and waits until it answers; or stops it with all its programs and waits for
    the end of the process.
  - If O(config) names a C(unit) in its section C([swf-testbed]), systemd runs supervisord. The
    module also enables the unit, and reloads systemd if the unit changed. Otherwise supervisord is
    a separate daemon.
  - Supervisord reads its section C([supervisord]) only at its start. The roles write a digest of
    all settings that need a restart into C(identifier), which a running supervisord reports. The
    module restarts a daemon whose identifier differs from the file.
  - The module also restarts it if a file in the directory C(secrets) of the section
    C([swf-testbed]) is newer than the daemon, because programs read their secrets at their start.
  - Before a start and after a stop, the module ends programs that outlived a killed supervisord.
    They hold their ports, and would run twice with a new daemon.
  - A daemon of O(config) whose socket was removed or replaced is found by its process. The module
    stops it with its programs before it starts another one, and names it in a warning.
  - A detached process on the host completes a restart, even if the controller and the module are
    killed.
options:
  state:
    description: Whether the daemon must run.
    type: str
    choices: [started, stopped]
    default: started
  config:
    description: Path of the C(supervisord.conf). It must have a C([unix_http_server]).
    type: path
    required: true
  executable:
    description:
      - Path of the C(supervisord) program.
      - The default is the value of C(supervisord) in the section C([swf-testbed]) of O(config),
        which the roles write.
    type: path
  start_order:
    description:
      - As O(bnlnpps.swf_testbed.supervisor_program#module:start_order). A new supervisord starts all
        programs. The module stops those that wait for the monitor at once, and
        M(bnlnpps.swf_testbed.supervisor_program) with the same option starts them.
      - Where nothing but the system starts supervisord, at boot for example, no program waits.
    type: dict
    suboptions:
      url:
        description: As there.
        type: str
        default: ""
      probes:
        description: As there.
        type: list
        elements: dict
        default: []
      components:
        description: As there.
        type: list
        elements: dict
        default: []
      timeout:
        description: As there.
        type: float
        default: 60
      ca_cert:
        description: As there.
        type: path
  timeout:
    description: Seconds to wait for the answer, or for the end, of the daemon.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: Predicts a start, restart or stop and does nothing.
  diff_mode:
    support: full
    description: Shows the daemon's state and identifier before and after.
seealso:
  - module: bnlnpps.swf_testbed.supervisor_program
  - module: bnlnpps.swf_testbed.supervisor_info
"""

EXAMPLES = r"""
- name: Run supervisord
  bnlnpps.swf_testbed.supervisor_daemon:
    config: ~/.config/swf-testbed/supervisord.conf
    executable: ~/.local/share/swf-testbed/tools/5c1e0b7d/bin/supervisord
"""

RETURN = r"""
state:
  description: State of the daemon afterwards.
  returned: always
  type: str
  sample: started
without_socket:
  description: Process ids of daemons of O(config) that their socket does not reach, and that are
    stopped (in check mode, would be).
  returned: when such daemons run
  type: list
  elements: int
  sample: [4242]
pid:
  description: Process id of the daemon.
  returned: when it runs
  type: int
  sample: 4711
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.detached import (
    StepKilledError,
    detached,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import settle
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import systemd
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.turn import (
    DAEMON,
    PATIENCE,
    turn,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.start_order import (
    OPTION,
    start_order,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.address import (
    endpoint_from,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
    ConfigFile,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import (
    described,
    unreachable_daemons,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.running import (
    DaemonError,
    end_programs_of,
    identity,
    lost_daemons,
    newer_secrets,
    programs_of,
    secrets_in,
    stop,
    stop_lost,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.start_order import (
    stop_started,
)

LOG_TAIL_BYTES = 2000
CONNECTION = dict.fromkeys(
    ("socket", "url", "username", "password", "ca_cert", "client_cert", "client_key")
)


def tail(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - LOG_TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def inherited() -> dict[str, str]:
    """The environment of the daemon: that of the login, without other variables of the current
    shell.

    supervisord passes it to its programs, whose settings come from the configuration alone.
    """
    names = ("HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR")
    login = {name: os.environ[name] for name in names if name in os.environ}
    return dict(login, PATH="/usr/local/bin:/usr/bin:/bin", LANG="C.UTF-8")


def start(options: Mapping[str, Any], config: ConfigFile) -> None:
    """Start supervisord as a separate daemon.

    :raises DaemonError: with its output.
    """
    executable = options["executable"] or config.get("swf-testbed", "supervisord")
    if not executable:
        raise DaemonError(
            "The path of supervisord is unknown. Fix: give executable, or set supervisord in the "
            "section [swf-testbed] of %s" % options["config"]
        )
    try:
        # supervisord puts itself into the background and then writes to its own log
        done = subprocess.run(
            [executable, "-c", options["config"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=inherited(),
            timeout=options["timeout"],
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DaemonError("Cannot start %s. Evidence: %s" % (executable, error)) from error
    if done.returncode != 0:
        raise DaemonError(
            "supervisord did not start. Evidence: exit status %d: %s\nFix: check %s."
            % (done.returncode, done.stdout.strip(), options["config"])
        )


class Unit:
    """The systemd unit that runs supervisord."""

    def __init__(self, name: str, scope: str) -> None:
        self.name, self.scope = name, scope
        self.found = systemd.properties(name, scope)
        self.restarts = 0

    @property
    def active(self) -> bool:
        return self.found["ActiveState"] in ("active", "activating", "reloading", "deactivating")

    @property
    def enabled(self) -> bool:
        return self.found["UnitFileState"] == "enabled"

    def start(self) -> None:
        if self.found["LoadState"] == "not-found" or self.found["NeedDaemonReload"] == "yes":
            systemd.systemctl(self.scope, "daemon-reload")
            # the former properties may be those of a removed unit
            self.found = systemd.properties(self.name, self.scope)
        if not self.enabled:
            systemd.systemctl(self.scope, "enable", "--quiet", self.name)
        if self.found["ActiveState"] == "failed":
            # too many failures block a start
            systemd.systemctl(self.scope, "reset-failed", self.name)
        try:
            systemd.systemctl(self.scope, "restart", self.name)
        except systemd.SystemdError as error:
            raise DaemonError(
                "%s\nThe end of its journal:\n%s" % (error, systemd.journal(self.name, self.scope))
            ) from error
        # systemd does not reset its counter if the stopped unit was about to be restarted
        self.restarts = self._restarts()

    def _restarts(self) -> int:
        return int(systemd.properties(self.name, self.scope).get("NRestarts") or 0)

    def fails(self) -> bool:
        """Whether it has ended since its start; systemd may try again."""
        return self._restarts() > self.restarts

    def stop(self) -> None:
        systemd.systemctl(self.scope, "stop", self.name)


def wait_for_answer(client: Client, timeout: int, config: ConfigFile, unit: Unit | None) -> int:
    """Wait until the daemon answers; return its pid.

    :raises DaemonError: with the end of its journal and log.
    """
    deadline = time.monotonic() + timeout
    given_up = ""
    while not given_up:
        found = identity(client)
        if found:
            return found[1]
        if unit and unit.fails():
            given_up = "supervisord ends right after its start."
        elif time.monotonic() > deadline:
            given_up = "supervisord started, but does not answer at %s within %d s." % (
                client.endpoint,
                timeout,
            )
        time.sleep(0.1 if unit else 0.05)
    if unit:
        given_up += "\nThe end of its journal (journalctl -u %s):\n%s" % (
            unit.name,
            systemd.journal(unit.name, unit.scope),
        )
    raise DaemonError(
        "%s\nThe end of its log:\n%s" % (given_up, tail(config.get("supervisord", "logfile")))
    )


def stop_without_configuration(module: AnsibleModule) -> dict[str, Any]:
    lost = unreachable_daemons(module.params["config"], None)
    result: dict[str, Any] = {"changed": bool(lost), "state": "stopped"}
    if lost:
        result["without_socket"] = lost
        module.warn(
            "%s does not exist, but supervisord (pid %s) runs with it."
            % (module.params["config"], ", ".join(map(str, lost)))
        )
        if not module.check_mode:
            stop_lost(lost, module.params["timeout"])
    return result


def run(module: AnsibleModule) -> dict[str, Any]:
    options = module.params
    if not os.path.exists(options["config"]):
        if options["state"] == "stopped":
            # nothing was configured here, or the file was removed while a daemon runs
            return stop_without_configuration(module)
        if module.check_mode:
            return {"changed": True, "state": "started"}
    config = ConfigFile(options["config"], os.environ)
    identifier = config.get("supervisord", "identifier") or "supervisor"
    client = Client(
        endpoint_from(dict(CONNECTION, config=options["config"], timeout=15, validate_certs=True))
    )
    lost = lost_daemons(
        client, options["config"], os.path.dirname(config.get("supervisord", "logfile") or "")
    )
    found = identity(client)
    socket = client.endpoint.path
    left = [] if found or lost else programs_of(socket)
    secrets = config.get("swf-testbed", "secrets") or ""
    name = config.get("swf-testbed", "unit")
    unit = Unit(name, config.get("swf-testbed", "unit_scope") or "system") if name else None
    before = (
        "running as %s\n" % found[0]
        if found
        else "not running, except %d of its programs\n" % len(left)
    )
    if lost:
        before = "".join(
            "pid %d, not reached at its socket\n" % pid for pid in lost
        ) + before * bool(found)
    if options["state"] == "stopped":
        changed, after = bool(found or lost or left or (unit and unit.active)), "not running\n"
    else:
        # the unit replaces a separate daemon of a former configuration
        stale = bool(found and newer_secrets(secrets, socket))
        changed = (
            not found
            or bool(lost)
            or found[0] != identifier
            or stale
            or bool(unit and not (unit.active and unit.enabled))
        )
        after = "running as %s\n" % identifier
    result: dict[str, Any] = {
        "changed": changed,
        "state": options["state"],
        "diff": {"before": before, "after": after},
    }
    if lost:
        result["without_socket"] = lost
        module.warn(
            "%s. The module %s it with its programs."
            % (described(lost), "would stop" if module.check_mode else "stops")
        )
    if found and not changed:
        result["pid"] = found[1]
    if not changed or module.check_mode:
        return result

    def change() -> dict[str, Any]:
        if unit and unit.active:
            unit.stop()
        elif found:
            stop(client, found[1], options["timeout"])
        # the unit may run another daemon than the one that answers
        stop_lost([*lost, *(found[1:] if found else ())], options["timeout"])
        end_programs_of(socket)
        if options["state"] == "stopped":
            return {}
        settle(secrets_in(secrets))
        if unit:
            unit.start()
        else:
            start(options, config)
        pid = wait_for_answer(client, options["timeout"], config, unit)
        order = start_order(options["start_order"])
        if order.last:
            stop_started(client, order, options["timeout"])
        return {"pid": pid}

    # a restart must not end after its stop
    result.update(detached(change))
    return result


def run_in_turn(module: AnsibleModule) -> dict[str, Any]:
    """Hold a lock: two runs of one login would both find no daemon, and both start one."""
    if module.check_mode:
        return run(module)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(turn(DAEMON, PATIENCE + module.params["timeout"]))
        except OSError as error:
            raise DaemonError(
                "Another run starts or stops supervisord here, or the lock cannot be created; "
                "nothing was changed. Evidence: %s. Fix: wait for that run, then run again." % error
            ) from error
        return run(module)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "config": {"type": "path", "required": True},
            "executable": {"type": "path"},
            "timeout": {"type": "int", "default": 60},
            "start_order": OPTION,
        },
        supports_check_mode=True,
    )
    hold(module)
    try:
        module.exit_json(**run_in_turn(module))
    except SupervisorError as error:
        module.fail_json(msg=error.message)
    except (ConfigError, DaemonError, StepKilledError, systemd.SystemdError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
