# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a host as root: prints where secrets are, in files, environments and arguments, and files
of the testbed that root does not own."""

from __future__ import annotations

import json
import os
import pwd
import stat
from pathlib import Path

FOLDERS = ("/etc", "/opt", "/var", "/home", "/root", "/run", "/tmp")
CODE = ("/etc/swf-testbed", "/opt/swf-testbed")
BIGGEST = 50_000_000
# {name: secret}; the test writes it into the text
SECRETS: dict[str, str] = {}


def files(folder):
    for place, folders, names in os.walk(folder):
        # what systemd mounts for a service is a copy of the file in /etc
        folders[:] = [
            name for name in folders if place != "/run" or name not in ("credentials", "user")
        ]
        for name in names:
            path = Path(place, name)
            state = path.lstat()
            if stat.S_ISREG(state.st_mode):
                yield path, state


def owner_of(state):
    return pwd.getpwuid(state.st_uid).pw_name


def main():
    found = {"files": {}, "environments": {}, "arguments": {}, "not of root": []}
    for folder in FOLDERS:
        for path, state in files(folder):
            if state.st_size > BIGGEST:
                continue
            content = path.read_bytes()
            for name, secret in SECRETS.items():
                if secret.encode() in content:
                    text = "%s %o" % (owner_of(state), state.st_mode & 0o777)
                    found["files"].setdefault(str(path), {})[name] = text
    for folder in CODE:
        for path, state in files(folder):
            # uv's lock files are writable, in a directory that only root can enter
            if path.is_relative_to("/opt/swf-testbed/cache"):
                continue
            if state.st_uid or state.st_mode & 0o022:
                found["not of root"].append(str(path))
    for process in Path("/proc").glob("[0-9]*"):
        for category, file in (("environments", "environ"), ("arguments", "cmdline")):
            try:
                words = (process / "cmdline").read_text().split("\0")
                content = (process / file).read_text(errors="replace")
            except OSError:
                continue
            program = next((word for word in words if "stand-in" in word), words[0])
            for name, secret in SECRETS.items():
                if secret in content and process.name != str(os.getpid()):
                    found[category].setdefault(os.path.basename(program), []).append(name)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
