# Written by bnlnpps.swf_testbed
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the steps of a rollback at boot. systemd runs it before supervisord, as the runtime user and in
the sandbox of the unit, with the Python that supervisor is installed in.

usage: rollback_steps.py SUPERVISORD_CONF DIRECTORY_OF_SECRETS

It does nothing unless boot_rollback.sh rolled back. A step gets what its program gets from
supervisord, and writes to the log of that program. A failed step does not prevent the start.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

LAUNCHER = "launch.py"
DUE = "rollback_steps.due"
POLL_SECONDS = 0.1
READY_SECONDS = 120
KILL_SECONDS = 5
UMASK = 0o027


def main(conf: str, secrets: str) -> None:
    folder = os.path.dirname(conf)
    if not os.path.exists(os.path.join(folder, DUE)):
        return
    with open(os.path.join(folder, "health.json"), encoding="utf-8") as stream:
        lines = [line for line in stream if not line.startswith("#")]
    saved = json.loads("".join(lines))["stack_steps"]
    programs = programs_of(conf)
    with contextlib.ExitStack() as servers:
        if saved["steps"]:
            for service in saved["services"]:
                servers.enter_context(served(programs[service["name"]], service["ready"]))
        for step in saved["steps"]:
            result = outcome(step, programs[step["component"]], saved["release"], secrets)
            print("The step %r %s" % (step["name"], result), flush=True)


def programs_of(conf: str) -> dict:
    """{name: program} of a supervisord.conf, as supervisord reads it."""
    # here: this process starts with each start of the unit, and has nothing to do at most of them
    from supervisor.options import ServerOptions

    options = ServerOptions()
    options.realize(["-c", conf])
    groups = options.process_group_configs
    return {program.name: program for group in groups for program in group.process_configs}


def outcome(step: dict, program: Any, release: str, secrets: str) -> str:
    """The result of a step, in words."""
    try:
        if step.get("unless") and run(step, "unless", program, release, secrets) == 0:
            return "is not needed"
        status = run(step, "command", program, release, secrets)
    except OSError as error:
        evidence = str(error)
    else:
        if status == 0:
            return "ran"
        evidence = "it %s; see %s" % (
            "did not end in time" if status is None else "ended with %d" % status,
            program.stdout_logfile,
        )
    return "failed. Evidence: %s. Fix: remove the cause, then run site.yml" % evidence


def run(step: dict, which: str, program: Any, release: str, secrets: str) -> int | None:
    """The exit status of a command of a step, or None after its timeout."""
    words = shlex.split(step[which])
    if "/" not in words[0]:
        words[0] = os.path.join(release, "bin", words[0])
    # a program with secrets in its environment: PYTHON -I LAUNCHER VARIABLE=FILE... -- COMMAND
    started = shlex.split(program.command)
    if [os.path.basename(word) for word in started[2:3]] == [LAUNCHER]:
        words = started[: started.index("--") + 1] + words
    mark = {"SWF_STEP": "%s/%s" % (step["component"], step["name"])}
    reads = step.get("input_secret") if which == "command" else None
    source_path = os.path.join(secrets, reads) if reads else os.devnull
    with open(source_path, "rb") as source, open(program.stdout_logfile, "ab") as log:
        process = subprocess.Popen(
            words,
            stdin=source,
            stdout=log,
            stderr=log,
            cwd=program.directory,
            env={"LANG": "C.UTF-8", **program.environment, **mark},
            start_new_session=True,
            umask=UMASK,
        )
        try:
            return process.wait(step.get("timeout", 300))
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.returncode is None:
                end(process)


def end(process: subprocess.Popen) -> None:
    """End a process and its children."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_SECONDS)


@contextlib.contextmanager
def served(program: Any, ready: str) -> Iterator:
    """Run a server that steps need, until they ended."""
    with open(program.stdout_logfile, "ab") as log:
        process = subprocess.Popen(
            shlex.split(program.command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **program.environment},
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready(ready) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        yield
    finally:
        process.send_signal(program.stopsignal)
        try:
            process.wait(program.stopwaitsecs)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def is_ready(command: str) -> bool:
    silent = subprocess.DEVNULL
    return subprocess.call(shlex.split(command), stdin=silent, stdout=silent, stderr=silent) == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
