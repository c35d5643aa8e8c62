# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that use the monitor's database, run as the user and with the environment of the
monitor."""

from __future__ import annotations

import os
import pwd
import subprocess


class MonitorError(Exception):
    """What could not be done, and why."""


class Runner:
    """Runs commands as the monitor's own user: what they make must not belong to root, or the
    monitor could not use it."""

    def __init__(self, options):
        self.environment = {name: str(value) for name, value in options["environment"].items()}
        self.account = (
            pwd.getpwnam(options["user"]) if options["user"] and os.geteuid() == 0 else None
        )
        # PostgreSQL's library looks for certificates there, and fails where it may not look
        home = self.account.pw_dir if self.account else os.environ.get("HOME", "/")
        self.environment.update(PATH="/usr/local/bin:/usr/bin:/bin", LANG="C.UTF-8", HOME=home)

    def run(self, doing, command, **extra):
        """What a command printed.

        :raises MonitorError:
        """
        switch = {}
        if self.account:
            groups = os.getgrouplist(self.account.pw_name, self.account.pw_gid)
            switch = {
                "user": self.account.pw_uid,
                "group": self.account.pw_gid,
                "extra_groups": groups,
            }
        done = subprocess.run(
            command,
            env=dict(self.environment, **extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            check=False,
            **switch,
        )
        if done.returncode != 0:
            raise MonitorError(
                "could not %s: %s" % (doing, done.stderr.strip() or done.stdout.strip())
            )
        return done.stdout

    def directory(self, path):
        os.makedirs(path, mode=0o700, exist_ok=True)
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def file(self, path, text):
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            if self.account:
                os.fchown(handle, self.account.pw_uid, self.account.pw_gid)
            stream.write(text)
