# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd unit of a daemon: systemd must stop what it started, or it restarts it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
        """Whether a process is the main process of this unit."""
        try:
            done = run(
                [*self.command("show"), "--property=MainPID", "--value"], self._environment()
            )
        except OSError:
            return False
        return done.stdout.strip() == str(pid)

    def run(self, verb: str) -> None:
        """Run `systemctl <verb>`. Raises TestbedError, with the command for an administrator, if
        this login lacks permission."""
        as_root = f"sudo systemctl {verb} {self.name}"
        plain = " ".join(self.command(verb))
        try:
            done = run(self.command(verb), self._environment())
        except OSError as error:
            raise TestbedError(f"cannot run systemctl: {error.strerror}", plain) from None
        if done.returncode != 0:
            cause = done.stdout.strip().splitlines() or [f"exit status {done.returncode}"]
            raise TestbedError(
                f"systemd did not {verb} {self.name}: {cause[0]}",
                plain if self.scope == "user" else as_root,
            )

    @staticmethod
    def _environment() -> dict[str, str]:
        # a login by su or sudo has no session, but its systemd runs
        return {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}", **os.environ}


def run(
    command: list[str], environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, with its output and errors in `stdout`.

    The collection has the same function for its modules; each is installed without the other.
    """
    return subprocess.run(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
