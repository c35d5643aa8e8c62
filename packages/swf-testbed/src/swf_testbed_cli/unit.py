# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd unit around a daemon: what systemd starts, it also has to stop, or it starts it
again."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from swf_testbed_cli.errors import TestbedError


@dataclass(frozen=True)
class Unit:
    """A unit by its name; scope is `system` or `user`."""

    name: str
    scope: str

    def command(self, verb: str) -> list[str]:
        option = ["--user"] if self.scope == "user" else []
        return ["systemctl", *option, "--no-ask-password", verb, self.name]

    def runs(self, pid: int) -> bool:
        """Whether a process is the one that systemd started for this unit."""
        try:
            done = self._run([*self.command("show"), "--property=MainPID", "--value"])
        except OSError:
            return False
        return done.stdout.strip() == str(pid)

    def tell(self, verb: str) -> None:
        """Raises TestbedError, with what an administrator types, where this login may not."""
        as_root = f"sudo systemctl {verb} {self.name}"
        plain = " ".join(self.command(verb))
        try:
            done = self._run(self.command(verb))
        except OSError as error:
            raise TestbedError(f"cannot run systemctl: {error.strerror}", plain) from None
        if done.returncode != 0:
            cause = done.stdout.strip().splitlines() or [f"exit status {done.returncode}"]
            raise TestbedError(
                f"systemd does not {verb} {self.name}: {cause[0]}",
                plain if self.scope == "user" else as_root,
            )

    @staticmethod
    def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
        # A login that came by su or sudo has no session, and its systemd is there all the same.
        environment = {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}", **os.environ}
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
