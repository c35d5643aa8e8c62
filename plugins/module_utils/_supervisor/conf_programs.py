# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What supervisord makes of the sections of programs, groups, event listeners and FastCGI programs.

The result compares with what supervisord reports about itself: the same keys, the same values.
Sections that supervisord would refuse are refused here too, for the same reasons.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
import typing as t
from dataclasses import dataclass

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
    ConfigFile,
    key_value_pairs,
)

AUTO = "auto"  # how supervisord reports a log file whose name it makes up
NONE = "none"  # how supervisord reports what is not set

# What supervisord compares when it decides that a group has changed, and reports through no call.
UNREPORTED = ("autorestart", "environment", "stopasgroup", "umask")

Config = dict[str, t.Any]


@dataclass
class Group:
    """A group of processes as the configuration defines it.

    :ivar kind: "program", "eventlistener" or "fcgi-program".
    :ivar processes: in supervisord's order; each a dict with supervisord's keys, and those in
        UNREPORTED.
    :ivar extras: what makes up the group beside its processes, and is not reported (event names,
        socket).
    :ivar files: the files that its sections stand in.
    """

    name: str
    kind: str
    priority: int
    processes: list[Config]
    extras: Config
    files: set[str]


class Reader:
    """Makes groups from a configuration.

    :param cwd: supervisord's current directory, which relative paths start from.
    """

    def __init__(self, conf: ConfigFile, cwd: str) -> None:
        self.conf = conf
        self._cwd = cwd
        self._names = {"host_node_name": os.uname().nodename}

    def groups(self) -> dict[str, Group]:
        """All groups by name.

        :raises ConfigError: supervisord would refuse the configuration.
        """
        if not self.conf.has("supervisord"):
            raise ConfigError(".ini file does not include supervisord section")
        common = self._supervisord()
        found: list[Group] = []
        taken: set[str] = set()
        for section in self.conf.sections("group:"):
            found.append(self._heterogeneous(section, taken))
        for section in self.conf.sections("program:"):
            if section not in taken:
                found.append(self._homogeneous(section, "program", 999, {}))
        for section in self.conf.sections("eventlistener:"):
            found.append(self._homogeneous(section, "eventlistener", -1, self._pool(section)))
        for section in self.conf.sections("fcgi-program:"):
            if section not in taken:
                found.append(
                    self._homogeneous(section, "fcgi-program", 999, self._fcgi_socket(section))
                )
        for group in found:
            for process in group.processes:
                process["environment"] = dict(common, **process["environment"])
        # supervisord keeps the first of several groups of one name.
        return {
            group.name: group
            for group in sorted(found, key=lambda g: (g.priority, g.name), reverse=True)
        }

    def _supervisord(self) -> dict[str, str]:
        """Check the section of supervisord itself; its environment= is also that of all
        programs."""
        section = "supervisord"
        for option in ("minfds", "minprocs", "logfile_backups"):
            self._integer(section, option, 0)
        for option in ("nodaemon", "silent", "nocleanup", "strip_ansi"):
            self._boolean(section, option, "false")
        self._octal(section, "umask", "022")
        self._bytes(section, "logfile_maxbytes", "50MB")
        for option in ("directory", "childlogdir"):
            path = self.conf.get(section, option)
            if path is not None and not os.path.isdir(self._path(path)):
                raise ConfigError("%s is not an existing directory" % path)
        for option in ("logfile", "pidfile"):
            self._existing_dirpath(self.conf.get(section, option, "x"))
        names = dict(self.conf.environment, here=self.conf.here, **self._names)
        # supervisord expands this one twice.
        pairs = key_value_pairs(
            self.conf.expand(self.conf.get(section, "environment", ""), names, "environment")
        )
        self.conf.environment.update(("ENV_" + key, value) for key, value in pairs.items())
        return pairs

    def _heterogeneous(self, section: str, taken: set[str]) -> Group:
        name = _name(section)
        programs = self.conf.get(section, "programs") or ""
        priority = self._integer(section, "priority", 999)
        processes: list[Config] = []
        files = {self.conf.section_file[section]}
        for program in [item.strip() for item in programs.split(",")] if programs else []:
            candidates = [kind + ":" + program for kind in ("program", "fcgi-program")]
            candidates = [candidate for candidate in candidates if self.conf.has(candidate)]
            if not candidates:
                raise ConfigError(
                    "[%s] names unknown program or fcgi-program %s" % (section, program)
                )
            if len(candidates) == 2:
                raise ConfigError(
                    "[%s] name %s is ambiguous (exists as program and fcgi-program)"
                    % (section, program)
                )
            taken.add(candidates[0])
            files.add(self.conf.section_file[candidates[0]])
            processes.extend(self._processes(candidates[0], name, "program", priority))
        return Group(name, "program", priority, processes, {}, files)

    def _homogeneous(self, section: str, kind: str, default_priority: int, extras: Config) -> Group:
        # An event listener's group keeps blanks that a program's loses.
        name = section.split(":", 1)[1] if kind == "eventlistener" else _name(section)
        priority = self._integer(section, "priority", default_priority)
        processes = self._processes(section, name, kind, priority)
        return Group(name, kind, priority, processes, extras, {self.conf.section_file[section]})

    def _pool(self, section: str) -> Config:
        buffer_size = self._integer(section, "buffer_size", 10)
        if buffer_size < 1:
            raise ConfigError("[%s] section sets invalid buffer_size (%d)" % (section, buffer_size))
        events = {
            item.strip().upper()
            for item in (self.conf.get(section, "events") or "").split(",")
            if item.strip()
        }
        if not events:
            raise ConfigError('[%s] section requires an "events" line' % section)
        if self._boolean(section, "redirect_stderr", "false"):
            raise ConfigError(
                "[%s] section sets redirect_stderr=true but this is not allowed" % section
            )
        handler = self.conf.get(section, "result_handler", "supervisor.dispatchers:default_handler")
        return {"events": sorted(events), "buffer_size": buffer_size, "result_handler": handler}

    def _fcgi_socket(self, section: str) -> Config:
        backlog = self.conf.get(section, "socket_backlog")
        if backlog is not None and not 1 <= self._integer(section, "socket_backlog", 0) <= 65535:
            raise ConfigError("Invalid socket_backlog value %s" % backlog)
        if self.conf.get(section, "socket_mode") is not None:
            self._octal(section, "socket_mode", "0700")
        address = self.conf.get(section, "socket", None, {"program_name": _name(section)})
        if not address:
            raise ConfigError('[%s] section requires a "socket" line' % section)
        if address.startswith("unix://"):
            if not os.path.isabs(address[7:]):
                raise ConfigError(
                    "Unix socket path is not an absolute path in [%s] socket" % section
                )
            return {"socket": "unix://" + os.path.normpath(os.path.expanduser(address[7:]))}
        match = re.match(r"tcp://([^\s:]+):(\d+)$", address)
        if not match or not 1 <= int(match.group(2)) <= 65535:
            raise ConfigError("Bad socket format in [%s] socket" % section)
        return {"socket": "tcp://%s:%d" % (match.group(1).lower(), int(match.group(2)))}

    def _processes(self, section: str, group: str, kind: str, group_priority: int) -> list[Config]:
        try:
            return self._processes_of(section, group, kind, group_priority)
        except ConfigError as error:
            raise ConfigError(
                "%s in section %r (file: %r)" % (error, section, self.conf.section_file[section])
            ) from None

    def _processes_of(
        self, section: str, group: str, kind: str, group_priority: int
    ) -> list[Config]:
        program = _name(section)
        names: dict[str, t.Any] = dict(
            self._names, here=self.conf.here, program_name=program, group_name=group
        )
        stopasgroup = self._boolean(section, "stopasgroup", "false", names)
        killasgroup = self._boolean(section, "killasgroup", str(stopasgroup), names)
        if stopasgroup and not killasgroup:
            raise ConfigError("Cannot set stopasgroup=true and killasgroup=false")
        serverurl = self.conf.get(section, "serverurl", None, names)
        if serverurl and serverurl.strip().upper() == "AUTO":
            serverurl = None
        user = self.conf.get(section, "user", None, names)
        umask = self.conf.get(section, "umask", None, names)
        redirect_stderr = self._boolean(section, "redirect_stderr", "false", names)
        common: Config = {
            "group": group,
            "group_prio": group_priority,
            "process_prio": self._integer(section, "priority", 999, names),
            "autostart": self._boolean(section, "autostart", "true", names),
            "autorestart": self._autorestart(section, names),
            "startsecs": self._integer(section, "startsecs", 1, names),
            "startretries": self._integer(section, "startretries", 3, names),
            "stopsignal": self._signal(section, names),
            "stopwaitsecs": self._integer(section, "stopwaitsecs", 10, names),
            "stopasgroup": stopasgroup,
            "killasgroup": killasgroup,
            "exitcodes": self._exitcodes(section, names),
            "redirect_stderr": redirect_stderr,
            "uid": NONE if user is None else _uid(user),
            "umask": None if umask is None else self._octal(section, "umask", "", names),
            "serverurl": NONE if serverurl is None else serverurl,
        }
        numprocs = self._integer(section, "numprocs", 1, names)
        first = self._integer(section, "numprocs_start", 0, names)
        process_name = _checked_name(self.conf.raw(section, "process_name", "%(program_name)s"))
        if numprocs > 1 and "%(process_num)" not in process_name:
            raise ConfigError(
                "%(process_num) must be present within process_name when numprocs > 1"
            )
        environment = self.conf.raw(section, "environment", "")
        made = []
        for number in range(first, first + numprocs):
            # As in supervisord, one table of names serves all processes of the section, and keeps
            # what each adds.
            names.update(process_num=number, numprocs=numprocs)
            names.update(self.conf.environment)
            pairs = key_value_pairs(self.conf.expand(environment, names, "environment"))
            names.update(("ENV_" + key, value) for key, value in pairs.items())
            directory = self.conf.get(section, "directory", None, names)
            process: Config = dict(
                common, environment=pairs, directory=NONE if directory is None else directory
            )
            for channel in ("stdout", "stderr"):
                process.update(self._log(section, channel, names))
            if redirect_stderr:
                process["stderr_logfile"] = NONE
            command = self.conf.get(section, "command", None, names)
            if command is None:
                raise ConfigError("program section %s does not specify a command" % section)
            process["command"] = command
            process["name"] = self.conf.expand(process_name, names, "process_name")
            made.append(process)
        return sorted(made, key=lambda item: (item["process_prio"], item["name"]))

    def _log(self, section: str, channel: str, names: t.Mapping[str, t.Any]) -> Config:
        prefix = channel + "_"
        path = self.conf.get(section, prefix + "logfile", None, names)
        syslog = self._boolean(section, prefix + "syslog", "false", names)
        if path is None or path.lower() == AUTO:
            path = AUTO
        elif path.lower() in ("none", "off"):
            path = NONE
        elif path.lower() == "syslog":
            path, syslog = NONE, True
        else:
            # supervisord expands this one twice.
            path = self._existing_dirpath(self.conf.expand(path, names, prefix + "logfile"))
        return {
            prefix + "logfile": path,
            prefix + "logfile_backups": self._integer(
                section, prefix + "logfile_backups", 10, names
            ),
            prefix + "logfile_maxbytes": self._bytes(
                section, prefix + "logfile_maxbytes", "50MB", names
            ),
            prefix + "syslog": syslog,
            prefix + "capture_maxbytes": self._bytes(
                section, prefix + "capture_maxbytes", "0", names
            ),
            prefix + "events_enabled": self._boolean(
                section, prefix + "events_enabled", "false", names
            ),
        }

    def _path(self, path: str) -> str:
        return os.path.join(self._cwd, os.path.expanduser(path))

    def _existing_dirpath(self, path: str) -> str:
        path = os.path.expanduser(path)
        folder = os.path.dirname(path)
        if folder and not os.path.isdir(self._path(folder)):
            raise ConfigError("The directory named as part of the path %s does not exist" % path)
        return path

    def _integer(
        self, section: str, option: str, default: int, names: t.Mapping[str, t.Any] | None = None
    ) -> int:
        value = self.conf.get(section, option, default, names)
        try:
            return int(value)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _boolean(
        self, section: str, option: str, default: str, names: t.Mapping[str, t.Any] | None = None
    ) -> bool:
        value = self.conf.get(section, option, default, names).lower()
        if value in ("yes", "true", "on", "1"):
            return True
        if value in ("no", "false", "off", "0"):
            return False
        raise ConfigError("not a valid boolean value: %r" % value)

    def _octal(
        self, section: str, option: str, default: str, names: t.Mapping[str, t.Any] | None = None
    ) -> int:
        value = self.conf.get(section, option, default, names)
        try:
            return int(value, 8)
        except ValueError:
            raise ConfigError("%s can not be converted to an octal type" % value) from None

    def _bytes(
        self, section: str, option: str, default: str, names: t.Mapping[str, t.Any] | None = None
    ) -> int:
        value = self.conf.get(section, option, default, names).lower()
        factor = {"kb": 1024, "mb": 1024**2, "gb": 1024**3}.get(value[-2:], 1)
        try:
            return int(value[:-2] if factor > 1 else value) * factor
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _signal(self, section: str, names: t.Mapping[str, t.Any]) -> int:
        value = self.conf.get(section, "stopsignal", "TERM", names)
        try:
            return int(signal.Signals(signal_number(value)))
        except ValueError:
            raise ConfigError("value %r is not a valid signal name" % value) from None

    def _autorestart(self, section: str, names: t.Mapping[str, t.Any]) -> str:
        value = self.conf.get(section, "autorestart", "unexpected", names).lower()
        if value == "unexpected":
            return value
        if value in ("yes", "true", "on", "1"):
            return "true"
        if value in ("no", "false", "off", "0"):
            return "false"
        raise ConfigError("invalid 'autorestart' value %r" % value)

    def _exitcodes(self, section: str, names: t.Mapping[str, t.Any]) -> list[int]:
        value = self.conf.get(section, "exitcodes", "0", names)
        try:
            codes = [int(item) for item in value.split(",")] if value else []
        except ValueError:
            codes = [-1]
        if any(not 0 <= code <= 255 for code in codes):
            raise ConfigError("not a valid list of exit codes: %r" % value)
        return codes


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


def _name(section: str) -> str:
    return _checked_name(section.split(":", 1)[1])


def _checked_name(name: str) -> str:
    name = name.strip()
    for character in " :/":
        if character in name:
            raise ConfigError("Invalid name: %r because of character: %r" % (name, character))
    return name


def _uid(user: str) -> int:
    try:
        return pwd.getpwuid(int(user)).pw_uid
    except KeyError:
        raise ConfigError("Invalid user id %s" % user) from None
    except ValueError:
        pass
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigError("Invalid user name %s" % user) from None
