# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of a supervisord on this host: its properties in /proc, and the search for it without
its socket.

A daemon whose socket or pid file was removed still runs its programs. A second daemon would run all
of them twice, so modules search for the configuration on command lines before they start one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import typing as t

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import (
    age,
    all_pids,
    environ_of,
    same_host,
    stat_of,
    ticks_of,
)

# a daemon that was just started has no socket yet
STARTING_SECONDS = 2.0
CONF = "supervisord.conf"


class Daemon:
    """The process of supervisord on this host.

    :ivar found: False if it runs on another host, or /proc does not show it; then all others are
        unknown.
    :ivar environ: its environment when it was started, or None.
    :ivar cwd: its current directory, or None.
    :ivar started: when it was started, in seconds since 1970, or None.
    :ivar ticks: the kernel's own start time of the process; with the PID it identifies the process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        argv = command_line(pid)
        self.found = "supervisor" in " ".join(argv[:3])
        self._argv = argv if self.found else []
        self.environ = environ_of(pid) if self.found else None
        self.cwd = self._cwd() if self.found else None
        self.ticks = ticks_of(pid) if self.found else None
        self.started = None if self.ticks is None else time.time() - age(pid)

    def _cwd(self) -> str | None:
        try:
            return os.readlink("/proc/%d/cwd" % self.pid)
        except OSError:
            return None

    @property
    def config(self) -> str | None:
        """The configuration file that it was started with, or None."""
        if self.cwd is None:
            return None
        given = named_configuration(self._argv)
        if given is not None:
            return self._existing(given)
        program = next(
            (argument for argument in self._argv if "supervisor" in os.path.basename(argument)), ""
        )
        home = os.path.dirname(os.path.dirname(program))
        for path in (
            os.path.join(home, "etc", CONF),
            os.path.join(home, CONF),
            CONF,
            os.path.join("etc", CONF),
            "/etc/supervisord.conf",
            "/etc/supervisor/supervisord.conf",
        ):
            found = self._existing(path)
            if found:
                return found
        return None

    def interpreter(self) -> dict[str, t.Any] | None:
        """Options of subprocess.run: its Python as executable, with its user, groups, environment
        and directory. None if this process lacks the rights for that.

        The author of a process chooses its command line: the first word counts only if the process
        runs that very file. A file of another user never runs with the rights of this one.
        """
        if self.environ is None or self.cwd is None or not same_host(self.pid):
            return None
        name = self._argv[0]
        path = shutil.which(
            os.path.join(self.cwd, name) if os.sep in name else name, path=self.environ.get("PATH")
        )
        try:
            running = os.readlink("/proc/%d/exe" % self.pid)
            # an upgrade of Python replaces the file of a running process
            if path is None or os.path.realpath(path) != running.removesuffix(" (deleted)"):
                return None
            with open("/proc/%d/status" % self.pid, encoding="utf-8", errors="replace") as stream:
                status = dict(line.split(":", 1) for line in stream)
        except (OSError, ValueError):
            return None
        user, group, groups = (
            list(map(int, status[key].split())) for key in ("Uid", "Gid", "Groups")
        )
        found: dict[str, t.Any] = {"executable": path, "env": self.environ, "cwd": self.cwd}
        if set(user) == {os.geteuid()}:
            return found
        if os.geteuid() != 0 or len(set(user)) != 1:
            return None
        return dict(found, user=user[0], group=group[0], extra_groups=groups)

    def _existing(self, path: str) -> str | None:
        path = os.path.join(self.cwd or "/", os.path.expanduser(path))
        return path if os.path.exists(path) else None


def command_line(pid: int) -> list[str]:
    """The program and its arguments; empty for a process that has ended."""
    try:
        with open("/proc/%d/cmdline" % pid, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read().split("\0")[:-1]
    except OSError:
        return []


def options_of_supervisord(argv: list[str]) -> list[str] | None:
    """The arguments on the command line of a supervisord; None for any other command line."""
    if argv and re.fullmatch(
        r"python[\d.]*|pypy[\d.]*|platform-python[\d.]*", os.path.basename(argv[0])
    ):
        argv = argv[1:]
        while argv and argv[0].startswith("-") and argv[0] != "-m":
            argv = argv[2 if argv[0] in ("-W", "-X") else 1 :]
        if argv[:1] == ["-m"]:
            return argv[2:] if argv[1:2] == ["supervisor.supervisord"] else None
    return argv[1:] if argv and os.path.basename(argv[0]) == "supervisord" else None


def named_configuration(arguments: list[str]) -> str | None:
    """The configuration on a command line, or None."""
    for position, argument in enumerate(arguments):
        if argument in ("-c", "--configuration"):
            return "".join(arguments[position + 1 : position + 2])
        if argument.startswith("--configuration="):
            return argument.partition("=")[2]
        if argument.startswith("-c"):
            return argument[2:]
    return None


def configuration_of(pid: int) -> str | None:
    """The path of the configuration of a supervisord; None for any other process.

    :raises OSError: it has ended, or belongs to another user and has a relative path.
    """
    options = options_of_supervisord(command_line(pid))
    if options is None:
        return None
    given = named_configuration(options)
    given = CONF if given is None else given
    if not os.path.isabs(given):
        given = os.path.join(os.readlink("/proc/%d/cwd" % pid), given)
    return os.path.realpath(given)


def daemons_of(config: str, folder: str | None = None) -> list[int]:
    """Pids of the supervisord processes that were started with a configuration.

    Finds those of this login, and as root also those of the user that writes to ``folder``.

    :param folder: the directory of its log.
    """
    owners = {os.geteuid()}
    if os.geteuid() == 0 and folder:
        with contextlib.suppress(OSError):
            owners.add(os.stat(folder).st_uid)
    wanted = os.path.realpath(config)
    found = {}
    for pid in all_pids():
        try:
            if (
                os.stat("/proc/%d" % pid).st_uid in owners
                and configuration_of(pid) == wanted
                and same_host(pid)
            ):
                found[pid] = int(stat_of(pid)[1])
        except (OSError, IndexError):
            # it has ended
            continue
    # a forked child looks like supervisord until it executes its program
    return sorted(pid for pid, parent in found.items() if parent not in found)


def unreachable_daemons(config: str, folder: str | None, answering: int | None = None) -> list[int]:
    """Pids of the daemons of a configuration, except the one that answers and those that may still
    create their socket."""
    return [
        pid
        for pid in daemons_of(config, folder)
        if pid != answering and age(pid) > STARTING_SECONDS
    ]


def described(pids: list[int]) -> str:
    return "supervisord (pid %s) runs, but its socket was removed or replaced" % ", ".join(
        map(str, pids)
    )
