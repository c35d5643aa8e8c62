#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supervisor_daemon
short_description: Start or stop supervisord, by systemd or as a daemon of its own
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Starts supervisord and waits until it answers; or stops it and all its programs and waits until
    the process is gone.
  - Where O(config) names a C(unit) in its section C([swf-testbed]), systemd runs supervisord. The
    unit is then enabled too, and systemd reads it again if it changed. Elsewhere supervisord is a
    daemon of its own.
  - Supervisord reads its section C([supervisord]) only at its start. The roles put a digest of what
    needs a restart into C(identifier), which a running supervisord can be asked for; if it differs
    from the file, the daemon is restarted.
  - It is also restarted when a file in the directory C(secrets) of the section C([swf-testbed]) is
    newer than the daemon, for programs read their secrets when they start.
  - Programs that outlived a supervisord that was killed are ended, before it is started and when it
    is to be stopped. They hold their ports and would run a second time beside the new ones.
  - A daemon of O(config) that is not reached at its socket, because that was removed or replaced,
    is found by its process. It is stopped with its programs before another one is started, and when
    it is to be stopped; a warning names it.
  - A restart is completed by a detached process on the host, even if the controller and the module
    are killed meanwhile.
options:
  state:
    description: Whether the daemon is to run.
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
      - Where it is not given, it is what C(supervisord) says in the section C([swf-testbed]) of
        O(config), which the roles write there so that an instance can be started without knowing
        how it was installed.
    type: path
  timeout:
    description: Seconds to wait for the daemon to answer, or to be gone.
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
unreachable:
  description: Process ids of daemons of O(config) that were not reached at their socket, and were
    stopped or would be.
  returned: when there are some
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

LOG_TAIL_BYTES = 2000
CONNECTION = dict.fromkeys(
    ("socket", "url", "username", "password", "ca_cert", "client_cert", "client_key")
)


def tail(path):
    try:
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - LOG_TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def inherited():
    """The environment of the daemon: that of the login, not what the shell of whoever starts it
    happens to hold.

    supervisord hands it on to its programs, whose settings come from the configuration alone.
    """
    kept = {
        name: os.environ[name]
        for name in ("HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR")
        if name in os.environ
    }
    return dict(kept, PATH="/usr/local/bin:/usr/bin:/bin", LANG="C.UTF-8")


def start(options, config):
    """Start supervisord as a daemon of its own.

    :raises DaemonError: with what it printed.
    """
    executable = options["executable"] or config.get("swf-testbed", "supervisord")
    if not executable:
        raise DaemonError(
            "which supervisord to start is not known: give executable, or set supervisord in the "
            "section "
            "[swf-testbed] of %s" % options["config"]
        )
    try:
        # supervisord goes into the background by itself; its own log takes what it says from then
        # on
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
        raise DaemonError("cannot start %s: %s" % (executable, error)) from error
    if done.returncode != 0:
        raise DaemonError(
            "supervisord did not start (exit status %d): %s\nCheck %s."
            % (done.returncode, done.stdout.strip(), options["config"])
        )


class Unit:
    """The systemd unit that runs supervisord."""

    def __init__(self, name, scope):
        self.name, self.scope = name, scope
        self.found = systemd.properties(name, scope)
        self.restarts = 0

    @property
    def active(self):
        return self.found["ActiveState"] in ("active", "activating", "reloading", "deactivating")

    @property
    def enabled(self):
        return self.found["UnitFileState"] == "enabled"

    def start(self):
        if self.found["LoadState"] == "not-found" or self.found["NeedDaemonReload"] == "yes":
            systemd.systemctl(self.scope, "daemon-reload")
            # what was known before may be of a unit that was taken away meanwhile
            self.found = systemd.properties(self.name, self.scope)
        if not self.enabled:
            systemd.systemctl(self.scope, "enable", "--quiet", self.name)
        if self.found["ActiveState"] == "failed":
            # given up after too many failures
            systemd.systemctl(self.scope, "reset-failed", self.name)
        try:
            systemd.systemctl(self.scope, "restart", self.name)
        except systemd.SystemdError as error:
            raise DaemonError(
                "%s\nThe end of its journal:\n%s" % (error, systemd.journal(self.name, self.scope))
            ) from error
        # systemd goes on counting where it was told to stop a unit that it was about to start again
        self.restarts = self._restarts()

    def _restarts(self):
        return int(systemd.properties(self.name, self.scope).get("NRestarts") or 0)

    def fails(self):
        """Whether systemd saw it end since it was started, and tries again or has given it up."""
        return self._restarts() > self.restarts

    def stop(self):
        systemd.systemctl(self.scope, "stop", self.name)


def wait_for_answer(client, timeout, config, unit):
    """Wait until the daemon answers; returns its pid.

    :raises DaemonError: with the end of its journal and log.
    """
    deadline = time.monotonic() + timeout
    given_up = ""
    while not given_up:
        found = identity(client)
        if found:
            return found[1]
        if unit and unit.fails():
            given_up = "supervisord ends as soon as it is started."
        elif time.monotonic() > deadline:
            given_up = "supervisord was started and does not answer at %s after %d s." % (
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


def stop_without_configuration(module):
    lost = unreachable_daemons(module.params["config"], None)
    result = {"changed": bool(lost), "state": "stopped"}
    if lost:
        result["unreachable"] = lost
        module.warn(
            "%s is gone, and supervisord (pid %s) runs with it."
            % (module.params["config"], ", ".join(map(str, lost)))
        )
        if not module.check_mode:
            stop_lost(lost, module.params["timeout"])
    return result


def run(module):
    options = module.params
    if not os.path.exists(options["config"]):
        if options["state"] == "stopped":
            # nothing was ever set up here, or what was has been removed under a daemon
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
        else "not running, but for %d of its programs\n" % len(left)
    )
    if lost:
        before = "".join(
            "pid %d, not reached at its socket\n" % pid for pid in lost
        ) + before * bool(found)
    if options["state"] == "stopped":
        changed, after = bool(found or lost or left or (unit and unit.active)), "not running\n"
    else:
        # a daemon of its own that runs where a unit is to, from an earlier time, is replaced by the
        # unit
        stale = bool(found and newer_secrets(secrets, socket))
        changed = (
            not found
            or bool(lost)
            or found[0] != identifier
            or stale
            or bool(unit and not (unit.active and unit.enabled))
        )
        after = "running as %s\n" % identifier
    result = {
        "changed": changed,
        "state": options["state"],
        "diff": {"before": before, "after": after},
    }
    if lost:
        result["unreachable"] = lost
        module.warn(
            "%s. It and its programs %s."
            % (described(lost), "would be ended" if module.check_mode else "are ended")
        )
    if found and not changed:
        result["pid"] = found[1]
    if not changed or module.check_mode:
        return result

    def change():
        if unit and unit.active:
            unit.stop()
        elif found:
            stop(client, found[1], options["timeout"])
        # the unit may run another one than the one that answers
        stop_lost([*lost, *(found[1:] if found else ())], options["timeout"])
        end_programs_of(socket)
        if options["state"] == "stopped":
            return {}
        settle(secrets_in(secrets))
        if unit:
            unit.start()
        else:
            start(options, config)
        return {"pid": wait_for_answer(client, options["timeout"], config, unit)}

    # what is stopped to be started anew must not stay stopped
    result.update(detached(change))
    return result


def run_in_turn(module):
    """Two runs of one login would both find no daemon, and both start one."""
    if module.check_mode:
        return run(module)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(turn(DAEMON, PATIENCE + module.params["timeout"]))
        except OSError as error:
            raise DaemonError(
                "another run starts or stops supervisord here, or the lock cannot be made; nothing "
                "was changed. "
                "Evidence: %s. Fix: wait for that run, then run again" % error
            ) from error
        return run(module)


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "config": {"type": "path", "required": True},
            "executable": {"type": "path"},
            "timeout": {"type": "int", "default": 60},
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
