# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's /proc tells about a running supervisord, where this user may read it."""

from __future__ import annotations

import glob
import os
import re
import time
import typing as t


class Daemon:
    """The process of supervisord on this host.

    :ivar found: False if it runs on another host, or /proc does not show it; then all the rest is unknown.
    :ivar environ: its environment when it was started, or None.
    :ivar cwd: its current directory, or None.
    :ivar started: when it was started, in seconds since 1970, or None.
    :ivar ticks: the kernel's own start time of the process; with the PID it identifies the process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._proc = "/proc/%d/" % pid
        argv = (self._read("cmdline") or "").split("\0")
        self.found = "supervisor" in " ".join(argv[:3])
        self._argv = argv if self.found else []
        self.environ = environ_of(pid) if self.found else None
        self.cwd = self._cwd() if self.found else None
        self.ticks = self._ticks() if self.found else None
        self.started = self._started()

    def _read(self, name: str) -> str | None:
        try:
            with open(self._proc + name, encoding="utf-8", errors="surrogateescape") as handle:
                return handle.read()
        except OSError:
            return None

    def _cwd(self) -> str | None:
        try:
            return os.readlink(self._proc + "cwd")
        except OSError:
            return None

    def _ticks(self) -> int | None:
        match = re.search(r"\) (.*)", self._read("stat") or "", re.DOTALL)
        return int(match.group(1).split()[19]) if match else None

    def _started(self) -> float | None:
        if self.ticks is None:
            return None
        try:
            return (
                time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + self.ticks / os.sysconf("SC_CLK_TCK")
            )
        except (AttributeError, OSError):  # not Linux
            return None

    @property
    def config(self) -> str | None:
        """The configuration file that it was started with, or None."""
        if self.cwd is None:
            return None
        argv = self._argv
        for index, argument in enumerate(argv):
            if argument in ("-c", "--configuration") and index + 1 < len(argv):
                return self._existing(argv[index + 1])
            if argument.startswith("--configuration="):
                return self._existing(argument[len("--configuration=") :])
            if argument.startswith("-c") and not argument.startswith("--"):
                return self._existing(argument[2:])
        program = next((argument for argument in argv if "supervisor" in os.path.basename(argument)), "")
        home = os.path.dirname(os.path.dirname(program))
        for path in (
            os.path.join(home, "etc", "supervisord.conf"),
            os.path.join(home, "supervisord.conf"),
            "supervisord.conf",
            "etc/supervisord.conf",
            "/etc/supervisord.conf",
            "/etc/supervisor/supervisord.conf",
        ):
            found = self._existing(path)
            if found:
                return found
        return None

    def _existing(self, path: str) -> str | None:
        path = os.path.join(self.cwd or "/", os.path.expanduser(path))
        return path if os.path.exists(path) else None


def environ_of(pid: int) -> dict[str, str] | None:
    """The environment that a process of this host was started with, or None if this user may not read it."""
    try:
        with open("/proc/%d/environ" % pid, encoding="utf-8", errors="surrogateescape") as handle:
            return dict(pair.split("=", 1) for pair in handle.read().split("\0") if "=" in pair)
    except OSError:
        return None


def untouched_since(moment: float, files: t.Iterable[str], patterns: t.Iterable[str]) -> bool:
    """Whether no file was written, added or taken away since a moment.

    The inode's change time is used, which no tool can set back.

    :param patterns: of included files: their folders must not have changed either.
    """
    paths = set(files)
    for pattern in patterns:
        folder = os.path.dirname(pattern)
        if glob.has_magic(folder):
            return False
        paths.add(folder)
    try:
        return all(os.stat(path).st_ctime < moment - 0.1 for path in paths)
    except OSError:
        return False
