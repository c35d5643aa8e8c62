# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of the programs: one request to the daemon, and its presentation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from swf_testbed_cli.errors import ALL_RUNNING, SOME_NOT_RUNNING
from swf_testbed_cli.rpc import Supervisor

_STYLES = {
    "RUNNING": "green",
    "STARTING": "yellow",
    "STOPPING": "yellow",
    "BACKOFF": "yellow",
    "STOPPED": "dim",
}


@dataclass(frozen=True)
class ProgramStatus:
    """One program. `exit_status` is None while it runs, and before its first end."""

    name: str
    group: str
    state: str
    pid: int | None
    uptime_seconds: int | None
    exit_status: int | None
    description: str
    autostart: bool
    priority: int
    stdout_logfile: str
    stderr_logfile: str

    @property
    def full_name(self) -> str:
        """The name in supervisor: group:name, or only the name if both are the same."""
        return self.name if self.name == self.group else f"{self.group}:{self.name}"

    @property
    def expected(self) -> bool:
        """Whether it should run: a program without autostart that was never started should not."""
        return self.autostart or self.state != "STOPPED"


@dataclass(frozen=True)
class Status:
    """The daemon and its programs at one moment. During its shutdown, it reports only its state."""

    daemon_pid: int | None
    daemon_version: str
    daemon_state: str
    programs: list[ProgramStatus]

    @property
    def exit_status(self) -> int:
        """0 if all programs run, 3 if not, as in supervisorctl."""
        states = [self.daemon_state, *(program.state for program in self.programs)]
        return ALL_RUNNING if all(state == "RUNNING" for state in states) else SOME_NOT_RUNNING

    def as_json(self, configuration: str) -> dict[str, Any]:
        """The output of `status --json`."""
        daemon = {
            "running": True,
            "pid": self.daemon_pid,
            "version": self.daemon_version,
            "state": self.daemon_state,
        }
        programs = [{**asdict(program), "name": program.full_name} for program in self.programs]
        return {"configuration": configuration, "daemon": daemon, "programs": programs}

    def as_table(self) -> Table:
        """The output of `status`."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column, justify in (
            ("program", "left"),
            ("state", "left"),
            ("pid", "right"),
            ("up", "right"),
            ("", "left"),
        ):
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        for program in self.programs:
            up = _duration(program.uptime_seconds) if program.uptime_seconds is not None else ""
            note = "" if program.state == "RUNNING" else program.description
            state = Text(program.state, style=_STYLES.get(program.state, "red"))
            # Text, not str: names and messages of programs are not markup.
            table.add_row(Text(program.full_name), state, str(program.pid or ""), up, Text(note))
        return table


def read_status(supervisor: Supervisor) -> Status:
    """Ask the daemon once."""
    pid, version, state, processes, configurations = supervisor.multicall(
        ("supervisor.getPID", []),
        ("supervisor.getSupervisorVersion", []),
        ("supervisor.getState", []),
        ("supervisor.getAllProcessInfo", []),
        ("supervisor.getAllConfigInfo", []),
    )
    if "statename" not in state or not (
        isinstance(processes, list) and isinstance(configurations, list)
    ):  # a fault: it is shutting down
        return Status(None, "", "SHUTDOWN", [])
    settings = {(c["group"], c["name"]): c for c in configurations}
    programs = [
        _program(info, settings.get((info["group"], info["name"]), {})) for info in processes
    ]
    return Status(int(pid), str(version), str(state["statename"]), programs)


def _program(info: dict[str, Any], settings: dict[str, Any]) -> ProgramStatus:
    state = str(info["statename"])
    runs = state in ("RUNNING", "STARTING", "STOPPING")
    ended = state in ("EXITED", "FATAL", "BACKOFF")
    return ProgramStatus(
        name=info["name"],
        group=info["group"],
        state=state,
        pid=info["pid"] or None,
        uptime_seconds=max(0, info["now"] - info["start"]) if runs and info["pid"] else None,
        exit_status=info["exitstatus"] if ended else None,
        description=info["description"] or info["spawnerr"],
        autostart=bool(settings.get("autostart", True)),
        priority=int(settings.get("group_prio", 999)),
        stdout_logfile=info["stdout_logfile"],
        stderr_logfile=info["stderr_logfile"],
    )


def _duration(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    text = f"{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days} d {text}" if days else text
