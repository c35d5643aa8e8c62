# SPDX-License-Identifier: GPL-3.0-or-later
"""Search for running supervisord processes.

A daemon whose socket or pid file was removed continues to run its programs. A second daemon would
run all of them twice, so the first one is searched by the configuration on its command line before
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
# A new daemon has no socket yet.
STARTING_SECONDS = 2.0
_SUPERVISORD = "supervisor.supervisord"


def daemons_of(instance: Instance) -> list[int]:
    """The pids of this user's daemons with the configuration of `instance`.

    For root, also those of the instance's user. Empty without /proc.
    """
    owners = {os.geteuid()}
    if os.geteuid() == 0:
        with contextlib.suppress(OSError, TestbedError):
            owners.add(instance.main_log.parent.stat().st_uid)
    wanted = os.path.realpath(instance.configuration)
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            # a process in a container may look the same, but has other files
            same_host = (path / "ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
            if same_host and path.stat().st_uid in owners and _configuration_of(path) == wanted:
                found[int(path.name)] = int(_stat(path)[1])
        except OSError:  # another user's, or ended
            continue
    # a forked child of supervisord looks like it until it executes its program
    return sorted(pid for pid, parent in found.items() if parent not in found)


def unreachable_daemons(instance: Instance, answering: int | None) -> list[int]:
    """The daemons of `instance`, except for the one that answers and those that may still create
    their socket."""
    return [
        pid for pid in daemons_of(instance) if pid != answering and _age(pid) > STARTING_SECONDS
    ]


def describe(pids: list[int]) -> str:
    """The description of these daemons in a message."""
    return f"supervisord (pid {', '.join(map(str, pids))}) runs without its socket"


def end_daemons(instance: Instance, pids: list[int], timeout: float) -> None:
    """End daemons, which end their programs first. Raises TestbedError if one still runs after
    `timeout` s."""
    deadline = time.monotonic() + timeout
    for pid in pids:
        if instance.unit and instance.unit.runs(pid):
            # systemd would restart it
            instance.unit.run("stop")
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
    """Whether a process runs. A zombie, which may stay in a container, does not."""
    try:
        return _stat(Path(f"/proc/{pid}"))[0] != "Z"
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
    """The arguments of a supervisord; None for any other command line."""
    if argv and re.fullmatch(r"python[\d.]*|pypy[\d.]*", os.path.basename(argv[0])):
        argv = argv[1:]
        while argv and argv[0].startswith("-") and argv[0] != "-m":
            argv = argv[2 if argv[0] in ("-W", "-X") else 1 :]
        if argv[:1] == ["-m"]:
            return argv[2:] if argv[1:2] == [_SUPERVISORD] else None
    return argv[1:] if argv and os.path.basename(argv[0]) == "supervisord" else None


def _stat(process: Path) -> list[str]:
    """The fields of a process after its name: state, parent and so on."""
    return (process / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _age(pid: int) -> float:
    """Seconds since the start of a process, by a monotonic clock; 0 for one that ended."""
    try:
        ticks = int(_stat(Path(f"/proc/{pid}"))[19])
    except (OSError, IndexError):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
