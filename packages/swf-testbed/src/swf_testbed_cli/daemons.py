# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisord found by its process.

A daemon whose socket or pid file was removed goes on running its programs. A second one beside it
would run all of them twice, so it is looked for by the configuration on its command line before
another one is started.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

from swf_testbed_cli.errors import TestbedError
from swf_testbed_cli.instance import FILE_NAME, Instance

POLL_SECONDS = 0.1
# A daemon that was just started has no socket yet.
STARTING_SECONDS = 2.0
_SUPERVISORD = "supervisor.supervisord"


def daemons_of(instance: Instance) -> list[int]:
    """The pids of the daemons that were started with the configuration of `instance`.

    Of this user; root sees those of the instance's user, too. None without /proc.
    """
    owners = {os.geteuid()}
    if os.geteuid() == 0:
        with contextlib.suppress(OSError, TestbedError):
            owners.add(instance.main_log.parent.stat().st_uid)
    wanted = os.path.realpath(instance.configuration)
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            # a container has processes that look the same, with files of its own
            same_host = (path / "ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
            if same_host and path.stat().st_uid in owners and _configuration_of(path) == wanted:
                found[int(path.name)] = _parent_of(path)
        except OSError:  # another user's, or gone
            continue
    # a child that supervisord has forked looks like it until it has become a program
    return sorted(pid for pid, parent in found.items() if parent not in found)


def unreachable_daemons(instance: Instance, answering: int | None) -> list[int]:
    """The daemons of `instance` but for the one that answers, and those that may still make their
    socket."""
    return [
        pid for pid in daemons_of(instance) if pid != answering and _age(pid) > STARTING_SECONDS
    ]


def describe(pids: list[int]) -> str:
    """How these daemons are named in a message."""
    return f"supervisord (pid {', '.join(map(str, pids))}) runs without its socket"


def end_daemons(instance: Instance, pids: list[int], timeout: float) -> None:
    """Ends daemons, which end their programs first. Raises TestbedError if one is there after
    `timeout` s."""
    deadline = time.monotonic() + timeout
    for pid in pids:
        if instance.unit and instance.unit.runs(pid):
            # It would be started again.
            instance.unit.tell("stop")
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    while left := [pid for pid in pids if is_alive(pid)]:
        if time.monotonic() > deadline:
            raise TestbedError(
                f"supervisord (pid {left[0]}) is still stopping its programs after {timeout:g} s",
                instance.command("stop"),
            )
        time.sleep(POLL_SECONDS)


def is_alive(pid: int) -> bool:
    """Whether it runs. In a container whose first process does not collect the dead, one that ended
    stays."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            != "Z"
        )
    except (OSError, IndexError):
        return False


def _configuration_of(process: Path) -> str | None:
    """The configuration file of a supervisord; None for any other process."""
    argv = (process / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
    options = _options_of_supervisord(argv)
    if options is None:
        return None
    given = FILE_NAME
    for position, option in enumerate(options):
        if option in ("-c", "--configuration"):
            given = "".join(options[position + 1 : position + 2])
        elif option.startswith("--configuration="):
            given = option.partition("=")[2]
        elif option.startswith("-c"):
            given = option[2:]
        else:
            continue
        break
    if not os.path.isabs(given):
        given = os.path.join((process / "cwd").readlink(), given)
    return os.path.realpath(given)


def _options_of_supervisord(argv: list[str]) -> list[str] | None:
    """What follows the program on the command line of a supervisord; None for any other command
    line."""
    if argv and re.fullmatch(r"python[\d.]*|pypy[\d.]*", os.path.basename(argv[0])):
        argv = argv[1:]
        while argv and argv[0].startswith("-") and argv[0] != "-m":
            argv = argv[2 if argv[0] in ("-W", "-X") else 1 :]
        if argv[:1] == ["-m"]:
            return argv[2:] if argv[1:2] == [_SUPERVISORD] else None
    return argv[1:] if argv and os.path.basename(argv[0]) == "supervisord" else None


def _parent_of(process: Path) -> int:
    return int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])


def _age(pid: int) -> float:
    """Seconds since a process was started, by a clock that nobody sets; 0 for one that is gone."""
    try:
        ticks = int(
            Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
        )
    except (OSError, IndexError):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
