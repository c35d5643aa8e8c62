# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file systems of an instance's directories. SQLite, sockets and locks need a local one.

A directory on a network file system whose server does not answer blocks every process that looks at
it. So the types come from the kernel's list of mounts, and links are resolved by a child process
with a time limit.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    FATAL,
    WARNING,
    Finding,
    finding,
    message,
)

MOUNTINFO = "/proc/self/mountinfo"
NETWORK = re.compile(r"nfs4?|afs|gpfs|lustre|beegfs|ceph|cifs|smb3|fuse(\..+)?")
# file systems of FUSE that are on a local disk
LOCAL = ("fuse.fuse-overlayfs",)
ESCAPED = re.compile(r"\\([0-7]{3})")
# seconds that a file system has to answer
LIMIT, LATER_LIMIT = 5.0, 0.5
# the directories of an instance with databases, sockets and locks; and those with code and settings
STATE = ("state_dir", "run_dir")
CODE = ("config_dir", "root")
# those that may be on a network file system, as long as it answers
OTHERS = ("log_dir", "data_dir")
#: the variable of the XDG specification that moves each
VARIABLES = {"config_dir": "XDG_CONFIG_HOME", "root": "XDG_DATA_HOME"}


class Mount(NamedTuple):
    """A mounted file system.

    :ivar source: the server with its directory, or the device.
    """

    point: str
    type: str
    source: str

    @property
    def is_remote(self) -> bool:
        return bool(NETWORK.fullmatch(self.type)) and self.type not in LOCAL


def mounts(path: str = MOUNTINFO) -> list[Mount]:
    """The mounted file systems, in the order in which they were mounted."""
    found = []
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            first, _dash, second = line.partition(" - ")
            words, rest = first.split(), second.split()
            if len(words) > 4 and len(rest) > 1:
                found.append(Mount(unescaped(words[4]), rest[0], unescaped(rest[1])))
    return found


def unescaped(text: str) -> str:
    return ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def mount_of(path: str, mounted: Iterable[Mount]) -> Mount | None:
    """The file system of a path, by its text alone: the kernel is not asked."""
    best = None
    for item in mounted:
        inside = path == item.point or path.startswith(item.point.rstrip("/") + "/")
        # of two at one place, the later one hides the other
        if inside and (best is None or len(item.point) >= len(best.point)):
            best = item
    return best


def resolved(paths: Sequence[str], limit: float = LIMIT) -> dict[str, str]:
    """{path: the path without symbolic links} of the paths that answer, which need not exist.

    A child asks for each of them. If one blocks it, another child asks for the rest, with less
    patience: they are probably on the same file system.
    """
    found: dict[str, str] = {}
    left = list(paths)
    while left:
        answers = _asked(left, limit)
        found.update(answers)
        # the next one does not answer
        left, limit = left[len(answers) + 1 :], min(limit, LATER_LIMIT)
    return found


def _asked(paths: Sequence[str], limit: float) -> dict[str, str]:
    """The answers until the first path that does not answer within the limit."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            for path in paths:
                real = os.path.realpath(path)
                with contextlib.suppress(FileNotFoundError):
                    os.statvfs(real)
                os.write(writer, json.dumps([path, real]).encode() + b"\n")
        os._exit(0)
    os.close(writer)
    data = b""
    try:
        deadline = time.monotonic() + limit
        while data.count(b"\n") < len(paths):
            ready = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]
            part = os.read(reader, 65536) if ready else b""
            if not part:
                break
            data += part
            deadline = time.monotonic() + limit
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        # a process in the kernel may not end now; init gets it when this one ends
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return dict(json.loads(line) for line in data.splitlines(keepends=True) if line.endswith(b"\n"))


def mount_problems(
    places: Mapping[str, Any], path: str = MOUNTINFO, limit: float = LIMIT
) -> tuple[list[Finding], bool]:
    """(findings for the directories of an instance, whether all of them answer). If not, no other
    check may look at them."""
    try:
        mounted = mounts(path)
    except OSError:
        return [], True
    if not any(item.is_remote for item in mounted):
        return [], True
    names = (*STATE, *CODE, *OTHERS)
    real = resolved([places[name] for name in names], limit)
    found: list[Finding] = []
    reported: set[tuple[str, Mount | None]] = set()
    for name in names:
        directory = real.get(places[name])
        where = mount_of(directory or places[name], mounted)
        verdict = "silent" if directory is None else "state" if name in STATE else "code"
        if (verdict, where) in reported or (
            verdict != "silent" and not (where and where.is_remote)
        ):
            continue
        if verdict == "silent" or name not in OTHERS:
            reported.add((verdict, where))
            found.append(_problem(verdict, name, places, where, limit))
    return found, len(real) == len({places[name] for name in names})


def silent(places: Mapping[str, Any]) -> list[str]:
    """The messages on directories of an instance whose file systems do not answer; [] if all do. A
    module that looks at the directories calls it first."""
    found, answering = mount_problems(places)
    return [] if answering else [message(item) for item in found if item["severity"] == FATAL]


def _problem(
    verdict: str, name: str, places: Mapping[str, Any], where: Mount | None, limit: float
) -> Finding:
    directory = places[name]
    evidence = (
        "%s is on %s (%s, mounted on %s)" % (directory, where.type, where.source, where.point)
        if where
        else directory
    )
    fix = (
        "export %s=/LOCAL/DISK/$USER in ~/.profile and in this shell, with a directory on a local "
        "disk that is your own" % VARIABLES.get(name, "XDG_STATE_HOME")
        if places["scope"] == "user"
        else "move %s to a local disk" % directory
    )
    if verdict == "silent":
        return finding(
            "mount",
            "the file system of a directory of the testbed does not answer",
            "%s; it did not answer within %g s" % (evidence, limit),
            "Ask the administrator of this host, or " + fix,
        )
    if verdict == "state":
        return finding(
            "mount",
            "the state of the testbed is on a network file system, on which SQLite, sockets and "
            "locks are not reliable",
            evidence,
            fix[0].upper() + fix[1:] if places["scope"] == "system" else fix,
        )
    return finding(
        "mount",
        "the programs and settings of the testbed are on a network file system: programs start "
        "slowly, and not at all while it is unavailable",
        evidence,
        fix,
        WARNING,
    )
