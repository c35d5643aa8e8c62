# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of this host, as far as /proc shows them to this user."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

POLL_SECONDS = 0.1


def captured(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program without input, and capture its output as text.

    :param options: of :func:`subprocess.run`; by default errors of the program are discarded.
    """
    null = subprocess.DEVNULL
    options = {"stdin": null, "stdout": subprocess.PIPE, "stderr": null, **options}
    return subprocess.run(command, check=False, text=True, errors="replace", **options)


def user_name(uid: int) -> str:
    """The name of a user, or the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def stat_of(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the program's name, from the state on; empty if the
    process is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    fields = stat_of(pid)
    return bool(fields) and fields[0] != "Z"


def ticks_of(pid: int) -> int | None:
    """The start time of a process in clock ticks since boot, which nobody can set; None if it is
    gone.

    With the pid it identifies the process.
    """
    fields = stat_of(pid)
    return int(fields[19]) if fields else None


def belongs(pid: Any, program: int) -> bool:
    """Whether a process is that of a program, or a child of it: a script may have started it."""
    while isinstance(pid, int) and pid > 1:
        if pid == program:
            return True
        fields = stat_of(pid)
        pid = int(fields[1]) if fields else 0
    return False


def age(pid: int) -> float:
    """Seconds since a process was started, by the same clock; 0 for one that is gone."""
    ticks = ticks_of(pid)
    return (
        0.0
        if ticks is None
        else time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    )


def same_host(pid: int) -> bool:
    """Whether a process belongs to this PID namespace: containers may use the same names and
    paths."""
    try:
        return os.readlink("/proc/%d/ns/pid" % pid) == os.readlink("/proc/self/ns/pid")
    except OSError:
        return False


def environ_of(pid: int) -> dict[str, str] | None:
    """The environment that a process was started with, or None if this user may not read it."""
    try:
        with open("/proc/%d/environ" % pid, encoding="utf-8", errors="surrogateescape") as stream:
            return dict(pair.split("=", 1) for pair in stream.read().split("\0") if "=" in pair)
    except OSError:
        return None


def end(
    remaining: Callable[[], list[int]], timeout: float, number: int = signal.SIGTERM
) -> list[int]:
    """Send a signal to processes and wait until they exit; return the pids of those that remain at
    the timeout.

    :param remaining: returns the pids of the processes that remain.
    """
    for pid in remaining():
        with contextlib.suppress(OSError):
            os.kill(pid, number)
    deadline = time.monotonic() + timeout
    left = remaining()
    while left and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        left = remaining()
    return left
