# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that use the monitor's database, with the user and the environment of the monitor."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any


class MonitorError(Exception):
    """A step that failed, and the reason."""


class Runner:
    """Runs commands as the monitor's own user: the monitor cannot use files that belong to root.

    :param options: C(environment), and C(user) (the login itself if empty, or if this is not root).
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.environment = {name: str(value) for name, value in options["environment"].items()}
        self.account = (
            pwd.getpwnam(options["user"]) if options["user"] and os.geteuid() == 0 else None
        )
        # PostgreSQL's library looks for certificates there, and fails without permission
        home = self.account.pw_dir if self.account else os.environ.get("HOME", "/")
        self.environment.update(PATH="/usr/local/bin:/usr/bin:/bin", LANG="C.UTF-8", HOME=home)

    def run(self, doing: str, command: Sequence[str], **extra: str) -> str:
        """The output of a command.

        :param doing: the step in words, for the error.
        :raises MonitorError: it failed.
        """
        done = subprocess.run(
            command,
            env=dict(self.environment, **extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            check=False,
            **self.switch(),
        )
        if done.returncode != 0:
            raise MonitorError(
                "could not %s: %s" % (doing, done.stderr.strip() or done.stdout.strip())
            )
        return done.stdout

    def switch(self) -> dict[str, Any]:
        """The options of subprocess with which a command runs as that user."""
        if not self.account:
            return {}
        return {
            "user": self.account.pw_uid,
            "group": self.account.pw_gid,
            "extra_groups": os.getgrouplist(self.account.pw_name, self.account.pw_gid),
        }

    def directory(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def file(self, path: str, text: str) -> None:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            if self.account:
                os.fchown(handle, self.account.pw_uid, self.account.pw_gid)
            stream.write(text)
