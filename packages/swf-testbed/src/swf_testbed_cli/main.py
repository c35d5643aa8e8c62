# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `swf-testbed` and `testbed`."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
import xmlrpc.client
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from swf_testbed_cli import __version__, lifecycle
from swf_testbed_cli.daemons import describe, unreachable_daemons
from swf_testbed_cli.errors import (
    ALL_RUNNING,
    NO_DAEMON,
    SOME_NOT_RUNNING,
    NotRunning,
    TestbedError,
)
from swf_testbed_cli.health import health_problems
from swf_testbed_cli.init import initialise
from swf_testbed_cli.instance import Instance, find_instance, owner
from swf_testbed_cli.logtail import open_log
from swf_testbed_cli.logview import MergedLog
from swf_testbed_cli.lostlogs import lost_log
from swf_testbed_cli.rpc import NO_FILE, Supervisor
from swf_testbed_cli.status import read_status

FOLLOW_SECONDS = 0.5
# A new monitor sets up its database before it serves its page.
PAGE_SECONDS = 30.0

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Set up, run and monitor an ePIC Streaming Workflow Testbed.",
)


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The testbed's supervisord.conf, or its folder. Default: $SWF_TESTBED_CONFIG, "
        "./supervisord.conf, the provisioned instance of this user, that of this host.",
    ),
]
Timeout = Annotated[float, typer.Option(help="Maximum time to wait, in seconds.", min=1)]


def _report(text: str) -> None:
    Console(highlight=False, markup=False).print(text, soft_wrap=True)


def _instance(config: Path | None) -> Instance:
    return find_instance(config, os.environ)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"swf-testbed {__version__}")
        raise typer.Exit


def _complete_program(context: typer.Context, incomplete: str) -> list[str]:
    """The names of programs for the shell, also of a stopped testbed."""
    try:
        programs = _instance(context.params.get("config")).programs()
    except TestbedError:
        return []
    return [program.name for program in programs if program.name.startswith(incomplete)]


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The testbed's folder.")] = Path(
        "."
    ),
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace supervisord.conf; a copy of the former one, secrets and data stay.",
        ),
    ] = False,
    broker_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the message broker.")
    ] = 61613,
    monitor_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the monitor's page.")
    ] = 8002,
    mcp_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the MCP agent.")] = 8003,
    stack: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="A stack file of your own. Its programs must be installed."
        ),
    ] = None,
) -> None:
    """Create a testbed: supervisord.conf, logs/, secrets/ and data/ in DIR (default: here)."""
    made, copy = initialise(
        folder,
        stack,
        force=force,
        broker_port=broker_port,
        monitor_port=monitor_port,
        mcp_port=mcp_port,
    )
    place = folder.expanduser().absolute()
    _report(f"Created in {place}: {', '.join(made)}")
    if copy:
        _report(f"Copied the former supervisord.conf to {copy}")
    _report(
        "Next: "
        + ("swf-testbed start" if place == Path.cwd() else f"cd {place} && swf-testbed start")
    )


@app.command()
def start(config: Config = None, timeout: Timeout = 60) -> None:
    """Start the testbed and wait until all programs run."""
    instance = _instance(config)
    status = lifecycle.start(instance, _report, timeout)
    _report(f"{len(status.programs)} programs are running; health not checked.{_check(instance)}")
    if page := instance.monitor_page:
        url, listens = page
        answers = lifecycle.wait_for_port(listens, min(timeout, PAGE_SECONDS))
        logs = instance.command(f"logs {instance.monitor}")
        _report(
            f"The monitor's page: {url}"
            + ("" if answers else f"   (it does not answer yet: {logs})")
        )


@app.command()
def stop(config: Config = None, timeout: Timeout = 60) -> None:
    """Stop all programs and their daemon, and wait until they ended."""
    _report("Stopped." if lifecycle.stop(_instance(config), timeout) else "It was not running.")


@app.command()
def restart(
    program: Annotated[
        str | None,
        typer.Argument(
            help="One program. Default: all programs, after reading supervisord.conf again.",
            autocompletion=_complete_program,
        ),
    ] = None,
    config: Config = None,
    timeout: Timeout = 60,
) -> None:
    """Restart everything, or one program, and wait until it runs."""
    lifecycle.restart(_instance(config), program, _report, timeout)
    _report(f"Restarted {program or 'all programs'}.")


@app.command()
def status(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the programs. Exit status: 0 all run, 3 not all run, 4 no daemon answers."""
    try:
        instance = _instance(config)
        supervisor = Supervisor(instance)
        try:
            now = read_status(supervisor)
        except NotRunning:
            if not (lost := unreachable_daemons(instance, None)):
                raise
            raise TestbedError(describe(lost), _replace_daemon(instance)) from None
    except TestbedError as error:
        if as_json:
            daemon = {"running": False, "cause": error.cause, "next": error.next_command}
            print(json.dumps({"configuration": None, "daemon": daemon, "programs": []}, indent=2))
        else:
            _print_error(error)
        raise typer.Exit(NO_DAEMON) from None
    lost = (
        unreachable_daemons(instance, now.daemon_pid)
        if supervisor.is_local and now.daemon_pid
        else []
    )
    if lost:
        cause = f"{describe(lost)}, and its programs run twice"
        _print_error(TestbedError(cause, _replace_daemon(instance)))
    if supervisor.is_local and now.daemon_pid:
        logs_of = [
            path for p in now.programs if p.pid for path in (p.stdout_logfile, p.stderr_logfile)
        ]
        missing = [
            log
            for path in [str(instance.main_log), *logs_of]
            if (log := lost_log(now.daemon_pid, path))
        ]
        if missing:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            _print_error(TestbedError(missing[0].cause + more, _reopen(now.daemon_pid)))
    monitor = instance.monitor
    problems = (
        health_problems(instance)
        if any(p.name == monitor and p.pid for p in now.programs)
        else None
    )
    if problems:
        _print_error(
            TestbedError(f"not healthy: {'; '.join(problems)}", instance.command(f"logs {monitor}"))
        )
    checked = problems is not None and not instance.probes
    if as_json:
        answer = now.as_json(str(instance.configuration))
        health = {"health_checked": checked, "not_healthy": problems or []}
        print(json.dumps(answer | health, indent=2))
    elif now.programs:
        Console(highlight=False).print(now.as_table())
        unchecked = (
            f"the collection has {len(instance.probes)} probes for it"
            if instance.probes
            else "no monitor of this testbed reports it"
        )
        if not (checked or problems or lost) and now.exit_status == ALL_RUNNING:
            _report(f"Running; health not checked: {unchecked}.{_check(instance)}")
    else:
        _report(f"The daemon is {now.daemon_state} and has no programs.")
    raise typer.Exit(SOME_NOT_RUNNING if lost or problems else now.exit_status)


@app.command()
def env(
    program: Annotated[
        str | None,
        typer.Argument(
            help="The program. Default: the variables that have the same value in all programs.",
            autocompletion=_complete_program,
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Print the environment of a program, for a shell: eval "$(swf-testbed env)"."""
    instance = _instance(config)
    environments = instance.environments()
    if program is not None and program not in environments:
        raise lifecycle.unknown_program(program, list(environments), instance)
    chosen = [environments[program]] if program is not None else list(environments.values())
    common = set.intersection(*(set(each.items()) for each in chosen)) if chosen else set()
    for name, value in sorted(common):
        print(f"export {name}={shlex.quote(value)}")


@app.command()
def logs(
    program: Annotated[
        str | None,
        typer.Argument(
            help="The name of the program in `status`.", autocompletion=_complete_program
        ),
    ] = None,
    of_all: Annotated[
        bool,
        typer.Option("--all", help="Show the logs of all programs as one, in a readable form."),
    ] = False,
    config: Config = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow the log until Ctrl-C.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="Number of lines to show.")
    ] = 20,
    stderr: Annotated[
        bool,
        typer.Option("--stderr", help="Show the log of standard error, if it is a separate file."),
    ] = False,
) -> None:
    """Show the end of a program's log, or of all logs, also of a stopped testbed."""
    instance = _instance(config)
    if of_all == (program is not None):
        raise TestbedError(
            "logs needs either the name of a program or --all", instance.command("logs --all")
        )
    if program is None:
        _print_all_logs(instance, lines, follow=follow, stderr=stderr)
        return
    supervisor: Supervisor | None = None
    daemon_pid: int | None = None
    try:
        daemon = Supervisor(instance)
        now = read_status(daemon)
        (found, *_) = lifecycle.find_programs(now, program, instance)
        supervisor = daemon
        name, paths = found.full_name, (found.stdout_logfile, found.stderr_logfile)
        daemon_pid = now.daemon_pid if daemon.is_local and found.pid else None
    except NotRunning:
        if follow:
            raise
        logfiles = {p.name: (p.stdout_logfile, p.stderr_logfile) for p in instance.programs()}
        if program not in logfiles:
            raise lifecycle.unknown_program(program, list(logfiles), instance) from None
        name, paths = program, logfiles[program]
    stderr = stderr and bool(paths[1])
    problem = None
    lost = lost_log(daemon_pid, paths[stderr]) if daemon_pid else None
    if lost:
        problem = TestbedError(lost.cause, _reopen(daemon_pid))
        if not lost.readable:
            raise problem
        if follow:
            _print_error(problem)
    log = open_log(str(lost.readable) if lost else paths[stderr], supervisor, name, stderr=stderr)
    if log is None:
        raise TestbedError(f"{name} has no log yet", instance.command("start"))
    try:
        sys.stdout.write(log.tail(lines))
        sys.stdout.flush()
        while follow:
            time.sleep(FOLLOW_SECONDS)
            sys.stdout.write(log.more())
            sys.stdout.flush()
    except xmlrpc.client.Fault as fault:
        if fault.faultCode == NO_FILE:
            cause = f"{name} has no log: {paths[stderr] or 'its file'} does not exist"
            raise TestbedError(cause, instance.command("status")) from None
        raise TestbedError(
            f"the daemon cannot read the log: {fault.faultString}", instance.command("status")
        ) from None
    if problem:
        raise problem


def _print_all_logs(instance: Instance, lines: int, *, follow: bool, stderr: bool) -> None:
    daemon = Supervisor(instance)
    supervisor: Supervisor | None = daemon
    try:
        programs = {
            found.full_name: (found.stdout_logfile, found.stderr_logfile)
            for found in read_status(daemon).programs
        }
    except NotRunning:
        if follow:
            raise
        supervisor = None
        programs = {p.name: (p.stdout_logfile, p.stderr_logfile) for p in instance.programs()}
    logs = {}
    for name, paths in programs.items():
        separate = stderr and bool(paths[1])
        log = open_log(paths[separate], supervisor, name, stderr=separate)
        # the daemon refuses to read a log that does not exist
        with suppress(xmlrpc.client.Fault):
            if log:
                log.tail(0)
                logs[name] = log
    merged = MergedLog(logs)
    found = merged.tail(lines, follow=follow)
    while True:
        sys.stdout.writelines(f"{line}\n" for line in found)
        sys.stdout.flush()
        if not follow:
            return
        time.sleep(FOLLOW_SECONDS)
        found = merged.more()


def _check(instance: Instance) -> str:
    """The sentence that names the command for the health; the empty string without one."""
    return f" To check it: {instance.health_command}" if instance.health_command else ""


def _replace_daemon(instance: Instance) -> str:
    return f"{instance.command('start')}   (ends this daemon and starts a new one)"


def _reopen(daemon_pid: int | None) -> str:
    """The command that makes supervisord reopen its logs."""
    user = owner(Path(f"/proc/{daemon_pid}"))
    sudo = "" if user == owner(Path("/proc/self")) else f"sudo -u {user} "
    return f"{sudo}kill -USR2 {daemon_pid}   (makes supervisord reopen its logs)"


def _print_error(error: TestbedError) -> None:
    if error.details:
        print(error.details, file=sys.stderr)
    print(f"swf-testbed: {error.cause}\n  next: {error.next_command}", file=sys.stderr)


def main() -> None:
    """The entry point: an expected error is two lines, not a traceback."""
    try:
        app(prog_name="swf-testbed")
    except TestbedError as error:
        _print_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of the output ended (`| head`); Python must not report that at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
