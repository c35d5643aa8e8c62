# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and restart: send the request, then wait until it is done."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Callable

from swf_testbed_cli.daemons import daemons_of, describe, end_daemons, is_alive, unreachable_daemons
from swf_testbed_cli.errors import NotRunning, TestbedError
from swf_testbed_cli.instance import Instance
from swf_testbed_cli.logtail import open_log
from swf_testbed_cli.orphans import end_orphans
from swf_testbed_cli.rpc import BAD_NAME, Supervisor
from swf_testbed_cli.status import ProgramStatus, Status, read_status
from swf_testbed_cli.unit import run

POLL_SECONDS = 0.2
HOPELESS_POLLS = 4
FAILED_LOG_LINES = 10
# Settings come only from supervisord.conf: the programs must not inherit those of the user's shell,
# where a secret that is set twice is an error.
_NOT_INHERITED = (
    "ACTIVEMQ_",
    "SWF_",
    "DB_",
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "DEBUG",
    "CSRF_TRUSTED_ORIGINS",
)

Report = Callable[[str], None]


def start(instance: Instance, report: Report, timeout: float) -> Status:
    """Start the daemon if none runs, and every program that does not run; wait until all run."""
    supervisor = Supervisor(instance)
    with instance.lock(timeout):
        _end_unreachable(supervisor, report, timeout)
        try:
            supervisor.call("supervisor.getState")
        except NotRunning as absent:
            if supervisor.socket_path and (orphans := end_orphans(supervisor.url)):
                report(f"Ended {orphans} processes of a dead daemon.")
            if supervisor.socket_path and absent.stale:
                supervisor.socket_path.unlink(missing_ok=True)
                report("Removed the socket of a dead daemon.")
            if instance.unit:
                instance.unit.run("start")
                _wait_until_it_answers(supervisor, timeout)
            else:
                _check_ports(instance)
                _start_daemon(instance)
            report("supervisord started.")
        else:
            status = read_status(supervisor)
            wanted = [
                p
                for p in status.programs
                if p.autostart and p.state not in ("RUNNING", "STARTING", "BACKOFF")
            ]
            if (
                not wanted
                and status.programs
                and all(p.state == "RUNNING" for p in status.programs if p.expected)
            ):
                report("Already running.")
                return status
            for program in wanted:
                _quietly(supervisor, "supervisor.startProcess", program.full_name, False)
        return _wait_until_running(supervisor, timeout, lambda p: p.autostart)


def stop(instance: Instance, timeout: float) -> bool:
    """Stop the programs and the daemon, and wait for their end; False if nothing was running."""
    supervisor = Supervisor(instance)
    with instance.lock(timeout):
        try:
            pid = int(supervisor.call("supervisor.getPID"))
        except NotRunning:
            lost = unreachable_daemons(instance, None)
            end_daemons(instance, lost, timeout)
            return bool(supervisor.socket_path and end_orphans(supervisor.url)) or bool(lost)
        deadline = time.monotonic() + timeout
        _stop_in_waves(supervisor, timeout)
        if instance.unit and instance.unit.runs(pid):
            # systemd would restart it
            instance.unit.run("stop")
        else:
            _quietly(supervisor, "supervisor.shutdown")
        while _alive(supervisor, pid):
            if time.monotonic() > deadline:
                raise TestbedError(
                    f"supervisord (pid {pid}) is still stopping its programs after {timeout:g} s",
                    instance.command("status"),
                )
            time.sleep(POLL_SECONDS)
        end_daemons(instance, unreachable_daemons(instance, None), timeout)
        return True


def restart(instance: Instance, program: str | None, report: Report, timeout: float) -> Status:
    """Restart one program, or everything, which reads supervisord.conf again."""
    if program is None:
        return _restart_all(instance, report, timeout)
    supervisor = Supervisor(instance)
    with instance.lock(timeout):
        names = {p.full_name for p in find_programs(read_status(supervisor), program, instance)}
        _stop_programs(supervisor, names, timeout)
        for name in names:
            _quietly(supervisor, "supervisor.startProcess", name, False)
        return _wait_until_running(supervisor, timeout, lambda p: p.full_name in names)


def daemon_pid(supervisor: Supervisor) -> int | None:
    """The pid of the daemon that answers, or None. Raises TestbedError if access is denied."""
    try:
        return int(supervisor.call("supervisor.getPID"))
    except NotRunning:
        return None


def wait_for_port(address: tuple[str, int], seconds: float) -> bool:
    """Wait until a program accepts connections at `address`; False if none does in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            time.sleep(POLL_SECONDS)
        else:
            return True
    return False


def find_programs(status: Status, name: str, instance: Instance) -> list[ProgramStatus]:
    """The programs of `name` (a program, group:program or group:*). Raises TestbedError if there
    are none."""
    found = [
        p
        for p in status.programs
        if name in (p.full_name, p.name, p.group, f"{p.group}:*", f"{p.group}:{p.name}")
    ]
    if not found:
        raise unknown_program(name, [p.full_name for p in status.programs], instance)
    return found


def unknown_program(name: str, existing: list[str], instance: Instance) -> TestbedError:
    """The error for a program that does not exist."""
    return TestbedError(
        f"there is no program {name!r}; there are: {', '.join(existing) or 'none'}",
        instance.command("status"),
    )


def _end_unreachable(supervisor: Supervisor, report: Report, timeout: float) -> None:
    """End a daemon that runs the programs and does not answer.

    At its end, it removes the socket and the pid file, even those of another daemon: so a daemon
    that answers ends, too.
    """
    if not supervisor.is_local:
        return
    pid = daemon_pid(supervisor)
    while pid is None and (young := daemons_of(supervisor.instance)):
        if unreachable_daemons(supervisor.instance, None) == young:
            break
        time.sleep(POLL_SECONDS)
        pid = daemon_pid(supervisor)
    lost = unreachable_daemons(supervisor.instance, pid)
    if not lost:
        return
    end_daemons(supervisor.instance, [*lost, *([pid] if pid else [])], timeout)
    report(f"{describe(lost)}: ended it and its programs.")


def _stop_in_waves(supervisor: Supervisor, timeout: float) -> None:
    """Stop all agents at once, then the services that they use.

    At its own end, supervisord stops one group after the other, and needs a second for each. A wave
    is a hundred of priorities: agents can finish their work while broker and monitor still run.
    """
    programs = read_status(supervisor).programs
    for wave in sorted({p.priority // 100 for p in programs}, reverse=True):
        names = {p.full_name for p in programs if p.priority // 100 == wave}
        _stop_programs(supervisor, names, timeout)


def _stop_programs(supervisor: Supervisor, names: set[str], timeout: float) -> None:
    for name in names:
        _quietly(supervisor, "supervisor.stopProcess", name, False)
    _wait(
        supervisor,
        timeout,
        lambda status: [
            p for p in _named(status, names) if p.state in ("RUNNING", "STARTING", "STOPPING")
        ],
        "did not stop",
    )


def _restart_all(instance: Instance, report: Report, timeout: float) -> Status:
    supervisor = Supervisor(instance)
    if not (pid := daemon_pid(supervisor)) or unreachable_daemons(instance, pid):
        return start(instance, report, timeout)
    with instance.lock(timeout):
        before = {p.pid for p in read_status(supervisor).programs if p.pid}
        # An invalid configuration would end the daemon, so this reads it first and changes nothing.
        try:
            supervisor.call("supervisor.reloadConfig")
        except xmlrpc.client.Fault as fault:
            raise TestbedError(
                f"{instance.configuration}: {fault.faultString}", f"edit {instance.configuration}"
            ) from None
        # The daemon stays the same process, so its systemd unit stays active.
        _quietly(supervisor, "supervisor.restart")
        deadline = time.monotonic() + timeout
        while _still_before_restart(supervisor, before):
            if time.monotonic() > deadline:
                raise TestbedError(
                    f"the programs did not restart within {timeout:g} s", instance.command("status")
                )
            time.sleep(POLL_SECONDS)
        return _wait_until_running(supervisor, timeout, lambda p: p.autostart)


def _still_before_restart(supervisor: Supervisor, old_pids: set[int]) -> bool:
    try:
        status = read_status(supervisor)
    except NotRunning:  # between closing its socket and opening it again
        return True
    return status.daemon_state != "RUNNING" or any(p.pid in old_pids for p in status.programs)


def _wait_until_it_answers(supervisor: Supervisor, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not supervisor.answers():
        if time.monotonic() > deadline:
            raise TestbedError(
                f"supervisord does not answer after {timeout:g} s",
                f"look at {supervisor.instance.main_log}",
            )
        time.sleep(POLL_SECONDS)


def _start_daemon(instance: Instance) -> None:
    program = (
        [instance.supervisord]
        if instance.supervisord
        else [sys.executable, "-m", "supervisor.supervisord"]
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}
    try:
        done = run([*program, "-c", str(instance.configuration)], environment, instance.folder)
    except OSError as error:
        raise TestbedError(
            f"cannot run {program[0]}: {error.strerror}", "pip install supervisor"
        ) from None
    if done.returncode != 0:
        lines = [
            line for line in done.stdout.splitlines() if line and not line.startswith("For help")
        ]
        cause = lines[-1].removeprefix("Error: ") if lines else f"exit status {done.returncode}"
        raise TestbedError(f"supervisord did not start: {cause}", f"look at {instance.main_log}")


def _check_ports(instance: Instance) -> None:
    """Refuse ports that are in use, before programs fail because of them."""
    for name, (host, port) in instance.ports().items():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    continue
                raise TestbedError(
                    f"port {port} ({name}) is in use by another program",
                    f"ss -ltnp 'sport = :{port}'   (shows the program; or choose another port: "
                    "swf-testbed init --help)",
                ) from None


def _wait_until_running(
    supervisor: Supervisor, timeout: float, wanted: Callable[[ProgramStatus], bool]
) -> Status:
    def lacking(status: Status) -> list[ProgramStatus]:
        # a program that ended normally was started, too
        return [
            p for p in status.programs if wanted(p) and not (p.state == "RUNNING" or _succeeded(p))
        ]

    return _wait(supervisor, timeout, lacking, "did not start")


def _wait(
    supervisor: Supervisor,
    timeout: float,
    unfinished: Callable[[Status], list[ProgramStatus]],
    what: str,
) -> Status:
    """Wait until no program is unfinished. Fails if the rest do not change by themselves."""
    deadline = time.monotonic() + timeout
    hopeless_polls = 0
    while True:
        status = read_status(supervisor)
        left = unfinished(status)
        if not left and status.daemon_state == "RUNNING":
            return status
        # EXITED may be temporary, before supervisor restarts the program: one poll is not enough.
        hopeless = left and all(p.state in ("FATAL", "EXITED", "STOPPED", "UNKNOWN") for p in left)
        hopeless_polls = hopeless_polls + 1 if hopeless else 0
        if hopeless_polls >= HOPELESS_POLLS or time.monotonic() > deadline:
            names = ", ".join(f"{p.full_name} ({p.state})" for p in left)
            raise TestbedError(
                f"{what}: {names or 'the daemon, which is ' + status.daemon_state}",
                supervisor.instance.command(_log_command(left[0]) if left else "status"),
                "\n".join(_log_end(supervisor, program) for program in left),
            )
        time.sleep(POLL_SECONDS)


def _log_command(program: ProgramStatus) -> str:
    return f"logs {program.full_name}" + (" --stderr" if program.stderr_logfile else "")


def _log_end(supervisor: Supervisor, program: ProgramStatus) -> str:
    """The last lines of both logs of a failed program."""
    parts = [f"{program.full_name}: {program.description}"]
    for path, stderr in ((program.stdout_logfile, False), (program.stderr_logfile, True)):
        try:
            log = open_log(path, supervisor, program.full_name, stderr=stderr)
            text = log.tail(FAILED_LOG_LINES) if log else ""
        except (TestbedError, xmlrpc.client.Fault):
            continue
        parts += [f"    {line}" for line in text.splitlines()]
    return "\n".join(parts)


def _succeeded(program: ProgramStatus) -> bool:
    return program.state == "EXITED" and program.exit_status == 0


def _named(status: Status, names: set[str]) -> list[ProgramStatus]:
    return [p for p in status.programs if p.full_name in names]


def _quietly(supervisor: Supervisor, method: str, *arguments: object) -> None:
    """Send a request whose refusal means that it is done already; the caller checks the result."""
    try:
        supervisor.call(method, *arguments)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode == BAD_NAME:
            raise TestbedError(
                f"the daemon has no program {arguments[0]}", supervisor.instance.command("restart")
            ) from None


def _alive(supervisor: Supervisor, pid: int) -> bool:
    return is_alive(pid) if supervisor.is_local else supervisor.answers()
