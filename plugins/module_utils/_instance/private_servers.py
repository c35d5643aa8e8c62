# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers that an instance runs for itself, for steps that need them while supervisord does not
run them: before the first start, or if the instance is stopped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import captured
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigFile,
    key_value_pairs,
)

#: seconds until a server is ready; after a crash it first recovers its data
PATIENCE = 120
POLL_SECONDS = 0.1
PR_SET_PDEATHSIG = 1
#: the option of the modules, in the doc fragment private_servers
OPTION = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "ready": {"type": "str", "required": True},
    },
}


class ServerError(ValueError):
    """A server did not start."""


@contextlib.contextmanager
def served(path: str, services: Iterable[Mapping[str, str]]) -> Iterator[list[str]]:
    """Run the servers that do not run yet, as supervisord would, until the end of the block. They
    also end if this process is killed.

    :param path: of the supervisord.conf.
    :param services: each with ``name``, the name of its program, and ``ready``, a command that
        exits with 0 while the server accepts connections.
    :returns: the names of the servers that were started.
    :raises ServerError: one does not start.
    """
    conf, running = ConfigFile(path, os.environ), []
    try:
        for service in services:
            if not is_ready(service["ready"]):
                running.append(Server(conf, service))
        yield [server.name for server in running]
    finally:
        for server in reversed(running):
            server.stop()


def is_ready(command: str) -> bool:
    return captured(shlex.split(command), cwd="/").returncode == 0


class Server:
    """A running program of a supervisord.conf, without supervisord.

    :raises ServerError: it ended, or is not ready in time.
    """

    def __init__(self, conf: ConfigFile, service: Mapping[str, str]) -> None:
        self.name = service["name"]
        section = "program:" + self.name
        self.signal = signal.Signals["SIG" + conf.raw(section, "stopsignal", "TERM")]
        self.patience = int(conf.raw(section, "stopwaitsecs", 10))
        self.log: str = conf.get(section, "stdout_logfile")
        environment = conf.raw(section, "environment", "")
        environment = key_value_pairs(conf.expand(environment, {}, "environment"))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                shlex.split(conf.get(section, "command")),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={**os.environ, **environment},
                preexec_fn=ending_with_parent(self.signal),
            )
        try:
            self._wait(service["ready"])
        except BaseException:
            self.stop()
            raise

    def _wait(self, ready: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_ready(ready):
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise ServerError(
                    "The program %s %s. Evidence: the end of %s. Fix: remove the cause, then run "
                    "the same command again"
                    % (
                        self.name,
                        "exited with %d" % self.process.returncode
                        if ended
                        else "is not ready after %d seconds" % PATIENCE,
                        self.log,
                    )
                )
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        if self.process.poll() is not None:
            return
        self.process.send_signal(self.signal)
        try:
            self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def ending_with_parent(number: int) -> Any:
    """A function for a new process, which then gets a signal when its parent ends."""
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, number)
