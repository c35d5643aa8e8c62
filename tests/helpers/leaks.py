# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for secrets where they must not be: in texts, in the processes of the machine while
something runs, and on the disk."""

from __future__ import annotations

import base64
import inspect
import os
import re
import stat
import threading
from pathlib import Path
from urllib.parse import quote


class Leaks:
    """A scan for secrets, in all the spellings in which one can hide. ``found`` says where each was
    seen.

    :param declared: {program: variables that have a secret}, as _supervisor.launched.variables has
        it.
    """

    def __init__(self, *secrets, declared=None):
        self.declared = declared or {}
        spellings = set()
        for secret in secrets:
            spellings |= {
                secret.encode(),
                quote(secret, safe="").encode(),
                secret.replace("%", "%%").encode(),
            }
            # three alignments: a secret inside of a text that is encoded as a whole, as
            # "user:token" is
            for shift in range(3):
                text = base64.b64encode(b"x" * shift + secret.encode())
                spellings.add(text[(4 if shift else 0) : len(text) - 4])
        self.pattern = re.compile(b"|".join(re.escape(spelling) for spelling in spellings))
        self.found = []
        self.samples = 0
        self._seen = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def text(self, place, content):
        if self.pattern.search(content if isinstance(content, bytes) else content.encode()):
            self.found.append(place)

    def disk(self, folder):
        """Every file below a folder that anybody but its owner can read."""
        for path in Path(folder).rglob("*"):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 and reachable(path, folder):
                self.text(str(path), path.read_bytes())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exception):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(0.01):
            self.all_processes()

    def all_processes(self):
        """Read the command line and the environment of every process."""
        for process, name, content in contents():
            self.samples += 1
            if (process, name, content) not in self._seen:
                self._seen.add((process, name, content))
                if name == "environ":
                    content = undeclared(content, self.declared)
                self.text("%s of process %s: %s" % (name, process, content[:80]), content)

    @property
    def processes(self):
        return len({process for process, _name, _content in self._seen})


def contents():
    """(pid, "cmdline" or "environ", content) of all processes. It runs on hosts of Molecule, too: see
    :data:`ON_A_HOST`."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                with open("/proc/%s/%s" % (process, name), "rb") as stream:
                    yield process, name, stream.read()
            except OSError:
                continue


def undeclared(environ, declared):
    """The environment of a process without the secrets that may be there. The one exception: a program
    that takes secrets from its environment only, its children, and its steps have the variables that
    the stack declares."""
    items = environ.split(b"\0")
    found = dict(item.split(b"=", 1) for item in items if b"=" in item)
    step = found.get(b"SWF_STEP", b"").partition(b"/")[0]
    program = (step or found.get(b"SUPERVISOR_PROCESS_NAME", b"")).decode(errors="replace")
    names = {name.encode() for name in declared.get(program, ())}
    return b"\0".join(item for item in items if item.partition(b"=")[0] not in names)


# the source of these functions, for a script that runs where the tests are not
ON_A_HOST = "import os\n" + "".join(map(inspect.getsource, (contents, undeclared)))


def reachable(path, top):
    """Whether somebody else could walk down to the file, from the folder on."""
    return all(
        parent.stat().st_mode & 0o011
        for parent in path.parents
        if parent != Path(top) and Path(top) in parent.parents
    )
