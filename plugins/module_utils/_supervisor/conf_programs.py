# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups of programs of a configuration, as supervisor's own code reads them.

That code runs in the Python of the supervisord that is to read the file, with its user, environment
and directory, because the host's Python does not have it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import typing as t
from dataclasses import dataclass

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.daemon import Daemon
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)

AUTO = "auto"  # how supervisord reports a log file whose name it generates
READ_SECONDS = 60

# supervisord compares these when it decides that a group has changed, and reports them nowhere.
UNREPORTED = ("autorestart", "environment", "stopasgroup", "umask")

Config = dict[str, t.Any]

# Prints a list of the fields of each Group, or the text of supervisord's refusal. The working
# directory is not a place for code.
_READ = """
import io, json, sys
sys.path = [folder for folder in sys.path if folder]
from supervisor import datatypes, events, options
from supervisor.rpcinterface import SupervisorNamespaceRPCInterface

class Daemon:
    options, process_groups = options.ServerOptions(), {}

server = Daemon.options
server.stderr, server.configfile = io.StringIO(), sys.argv[1]
try:
    server.process_config(do_usage=False)
except ValueError as error:
    print(json.dumps(str(error)))
    sys.exit()
reported = {
    (item["group"], item.pop("inuse"), item["name"]): item
    for item in SupervisorNamespaceRPCInterface(Daemon).getAllConfigInfo()
}
restart = {
    datatypes.RestartUnconditionally: "true",
    datatypes.RestartWhenExitUnexpected: "unexpected",
}
found = []
for group in server.process_group_configs:
    kind, extras = "program", {}
    if isinstance(group, options.EventListenerPoolConfig):
        names = [name for name, kind in vars(events.EventTypes).items() if kind in group.pool_events]
        handler = getattr(group.result_handler, "__qualname__", "")
        kind = "eventlistener"
        extras = dict(events=sorted(names), buffer_size=group.buffer_size, result_handler=handler)
    elif isinstance(group, options.FastCGIGroupConfig):
        kind, extras = "fcgi-program", {"socket": group.socket_config.url}
    processes = [
        dict(
            reported[group.name, False, config.name],
            autorestart=restart.get(config.autorestart, "false"),
            environment=config.environment,
            stopasgroup=config.stopasgroup,
            umask=config.umask,
        )
        for config in group.process_configs
    ]
    found.append([group.name, kind, group.priority, processes, extras])
print(json.dumps(found))
"""


@dataclass
class Group:
    """A group of processes as the configuration defines it.

    :ivar section_type: "program", "eventlistener" or "fcgi-program".
    :ivar processes: in supervisord's order; each a dict with the keys that supervisord reports, and
        those in UNREPORTED.
    :ivar extras: the unreported settings of the group itself (event names, socket).
    """

    name: str
    section_type: str
    priority: int
    processes: list[Config]
    extras: Config


def read_groups(path: str, daemon: Daemon) -> dict[str, Group]:
    """All groups by name, as a supervisord would read them now.

    :raises ConfigError: supervisord would refuse the configuration.
    :raises SupervisorError: the Python of this supervisord cannot be used here.
    """
    options = daemon.interpreter()
    if options is None:
        raise _unreadable(
            path, "the process of supervisord (pid %d) is not visible to this user" % daemon.pid
        )
    command = [options.pop("executable"), "-B", "-c", _READ, path]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=READ_SECONDS,
            check=False,
            **options,
        )
        found = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise _unreadable(path, str(error)) from None
    if found is None:
        raise _unreadable(path, "%s: %s" % (command[0], done.stderr.strip().rpartition("\n")[2]))
    if isinstance(found, str):
        raise ConfigError(found)
    # supervisord uses the first of several groups of one name.
    return {fields[0]: Group(*fields) for fields in reversed(found)}


def _unreadable(path: str, evidence: str) -> SupervisorError:
    return SupervisorError(
        "config_unknown",
        "The configuration %s cannot be read as supervisord reads it. Evidence: %s. Fix: run the "
        "module on the host of supervisord, as its user or as root (become)." % (path, evidence),
    )


def signal_number(value: str) -> int:
    """The number of a signal given as a number, C(HUP) or C(SIGHUP).

    :raises ValueError: there is no such signal.
    """
    try:
        return int(signal.Signals(int(value)))
    except ValueError:
        pass
    name = value.strip().upper()
    try:
        return int(signal.Signals[name if name.startswith("SIG") else "SIG" + name])
    except KeyError:
        raise ValueError("%r is not a signal" % value) from None
