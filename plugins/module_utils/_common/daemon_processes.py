# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisord found by its process.

A daemon whose socket or pid file was removed goes on running its programs. A second one beside it would run all of them twice,
so it is looked for by the configuration on its command line before another one is started.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time

POLL_SECONDS = 0.1
# a daemon that was just started has no socket yet
STARTING_SECONDS = 2.0
CONF = "supervisord.conf"


def alive(pid):
    """Whether a process runs; one that ended and that nobody has collected does not."""
    fields = stat_of(pid)
    return bool(fields) and fields[0] != "Z"


def stat_of(pid):
    """What /proc/PID/stat has after the name of the program, from the state on; empty for a process that is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return []


def same_host(pid):
    """Whether a process is none of a container, where everything may be called as it is here."""
    try:
        return os.readlink("/proc/%d/ns/pid" % pid) == os.readlink("/proc/self/ns/pid")
    except OSError:
        return False


def daemons_of(config, folder=None):
    """Pids of the supervisord processes that were started with a configuration.

    Those of this login are seen, and by root those of the user that writes into ``folder``.

    :param folder: the directory of its log.
    """
    owners = {os.geteuid()}
    if os.geteuid() == 0 and folder:
        with contextlib.suppress(OSError):
            owners.add(os.stat(folder).st_uid)
    wanted = os.path.realpath(config)
    found = {}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            if os.stat("/proc/%d" % pid).st_uid in owners and configuration_of(pid) == wanted and same_host(pid):
                found[pid] = int(stat_of(pid)[1])
        except (OSError, IndexError):
            # it ended meanwhile
            continue
    # a child that supervisord has forked looks like it until it has become a program
    return sorted(pid for pid, parent in found.items() if parent not in found)


def unreachable_daemons(config, folder, answering=None):
    """Pids of the daemons of a configuration but for the one that answers, and those that may still make their socket."""
    return [pid for pid in daemons_of(config, folder) if pid != answering and age(pid) > STARTING_SECONDS]


def described(pids):
    return "supervisord (pid %s) runs and is not reached at its socket, which was removed or replaced" % ", ".join(map(str, pids))


def end_daemons(pids, timeout):
    """Let daemons end their programs and themselves; pids of those that are still there when the time is up."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    left = [pid for pid in pids if alive(pid)]
    while left and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        left = [pid for pid in left if alive(pid)]
    return left


def configuration_of(pid):
    """The path of the configuration of a supervisord; None for any other process.

    :raises OSError: it is gone, or another user's with a relative path.
    """
    with open("/proc/%d/cmdline" % pid, encoding="utf-8", errors="surrogateescape") as stream:
        options = options_of_supervisord(stream.read().split("\0")[:-1])
    if options is None:
        return None
    given = CONF
    for position, option in enumerate(options):
        if option in ("-c", "--configuration"):
            given = "".join(options[position + 1:position + 2])
        elif option.startswith("--configuration="):
            given = option.partition("=")[2]
        elif option.startswith("-c"):
            given = option[2:]
        else:
            continue
        break
    if not os.path.isabs(given):
        given = os.path.join(os.readlink("/proc/%d/cwd" % pid), given)
    return os.path.realpath(given)


def options_of_supervisord(argv):
    """What follows the program on the command line of a supervisord; None for any other command line."""
    if argv and re.fullmatch(r"python[\d.]*|pypy[\d.]*|platform-python[\d.]*", os.path.basename(argv[0])):
        argv = argv[1:]
        while argv and argv[0].startswith("-") and argv[0] != "-m":
            argv = argv[2 if argv[0] in ("-W", "-X") else 1:]
        if argv[:1] == ["-m"]:
            return argv[2:] if argv[1:2] == ["supervisor.supervisord"] else None
    return argv[1:] if argv and os.path.basename(argv[0]) == "supervisord" else None


def age(pid):
    """Seconds since a process was started, by a clock that nobody sets; 0 for one that is gone."""
    fields = stat_of(pid)
    if not fields:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
