# SPDX-License-Identifier: GPL-3.0-or-later
"""The testbed to work on, and its supervisord.conf."""

from __future__ import annotations

import configparser
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.datatypes import dict_of_key_value_pairs
from swf_common_lib.exclusive import LockHeld, exclusive

from swf_testbed_cli.errors import TestbedError
from swf_testbed_cli.stack import name_of, port_variable, read_stack
from swf_testbed_cli.unit import Unit

FILE_NAME = "supervisord.conf"
DEFAULT_INSTANCE = "swf-testbed"
#: variables of a program that a script has from its own shell
OF_A_LOGIN = frozenset(("HOME", "LOGNAME", "PATH", "USER", "VIRTUAL_ENV"))


def instance_name(environment: Mapping[str, str]) -> str:
    """The name of a provisioned instance: from SWF_TESTBED_INSTANCE; that of the release with this
    command; or the default."""
    return environment.get("SWF_TESTBED_INSTANCE") or own_instance(sys.prefix) or DEFAULT_INSTANCE


def own_instance(prefix: str) -> str | None:
    """The name of the instance whose release is the environment `prefix`, such as
    ~/.local/share/NAME/releases/ID; None for another environment."""
    releases = Path(prefix).resolve().parent
    return releases.parent.name if releases.name == "releases" else None


def find_instance(given: Path | None, environment: Mapping[str, str]) -> Instance:
    """Find the testbed to work on.

    In this order: `given`, $SWF_TESTBED_CONFIG, ./supervisord.conf, the user's provisioned
    instance, that of the system. A folder means the supervisord.conf in it. Raises TestbedError if
    there is none.
    """
    variable = environment.get("SWF_TESTBED_CONFIG", "")
    # programs of the public testbed have a testbed.toml in this variable
    named = given or (Path(variable) if variable and not variable.endswith(".toml") else None)
    if named:
        path = named.expanduser()
        path = path / FILE_NAME if path.is_dir() else path
        if not _is_file(path):
            raise TestbedError(
                f"not initialised: there is no {path}", f"swf-testbed init {path.parent}"
            )
        return Instance(path.absolute(), named=given is not None)
    name = instance_name(environment)
    user_folder = Path(environment.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    candidates = [Path(FILE_NAME), user_folder / name / FILE_NAME, Path("/etc") / name / FILE_NAME]
    for path in candidates:
        if _is_file(path):
            return Instance(path.absolute())
    searched = ", ".join(str(path) for path in candidates)
    raise TestbedError(
        f"not initialised: no testbed here or on this host (searched {searched})",
        "swf-testbed init",
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        raise TestbedError(
            f"permission denied: cannot access {path}", "sudo swf-testbed status"
        ) from None


@dataclass(frozen=True)
class Program:
    """A [program:x] section: the data that the command needs while no daemon runs."""

    name: str
    stdout_logfile: str
    stderr_logfile: str


class Instance:
    """A testbed: its configuration, read as supervisor reads it.

    `named`: the user named it, so a command in a hint must name it, too.
    """

    def __init__(self, configuration: Path, *, named: bool = False) -> None:
        self.configuration = configuration
        self._named = named
        self._parser = configparser.RawConfigParser(
            inline_comment_prefixes=(";", "#"), strict=False
        )
        try:
            with configuration.open(encoding="utf-8") as file:
                self._parser.read_file(file)
        except PermissionError:
            user = owner(configuration)
            cause = f"permission denied: {configuration} belongs to {user}"
            raise TestbedError(cause, f"sudo -u {user} {self.command('status')}") from None
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            line = str(error).replace("\n", " ")
            raise TestbedError(
                f"cannot read {configuration}: {line}", f"swf-testbed init --force {self.folder}"
            ) from None

    def command(self, verb: str) -> str:
        """The command line that does `verb` with this instance."""
        return f"swf-testbed {verb}" + (
            f" --config {shlex.quote(str(self.configuration))}" if self._named else ""
        )

    @property
    def folder(self) -> Path:
        """The folder that replaces %(here)s."""
        return self.configuration.parent

    @property
    def server_url(self) -> str:
        """The address of the daemon: unix:///path or http://host:port."""
        url = self._value("supervisorctl", "serverurl")
        if not url and (socket := self._value("unix_http_server", "file")):
            url = f"unix://{socket}"
        if not url and (port := self._value("inet_http_server", "port")):
            url = f"http://{port}" if ":" in port else f"http://127.0.0.1:{port}"
        if not url:
            raise TestbedError(
                f"{self.configuration} has no address of its daemon ([supervisorctl] serverurl)",
                f"swf-testbed init --force {self.folder}",
            )
        return url.replace("http://*:", "http://127.0.0.1:")

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password of the daemon, if it requires them."""
        for section in ("supervisorctl", "unix_http_server", "inet_http_server"):
            user, password = self._value(section, "username"), self._value(section, "password")
            if user and password:
                return user, password
        return None

    @property
    def main_log(self) -> Path:
        """The log of the daemon itself."""
        return self.folder / (self._value("supervisord", "logfile") or "supervisord.log")

    @property
    def supervisord(self) -> str | None:
        """The supervisord program of a provisioned instance ([swf-testbed] supervisord=)."""
        return self._value("swf-testbed", "supervisord")

    def ports(self) -> dict[str, tuple[str, int]]:
        """Where the programs listen: address and port by the name of the program.

        A file of an earlier version has only variables of ports, which are the keys then.
        """
        listens = self._value("swf-testbed", "listens")
        if listens is None:
            return self._former_ports()
        try:
            lines = (line.split() for line in listens.splitlines() if line)
            return {name: (host, int(port)) for name, host, port in lines}
        except ValueError:
            raise TestbedError(
                f"{self.configuration}: [swf-testbed] listens has lines without a program, an"
                " address and a port",
                f"edit {self.configuration}",
            ) from None

    def _former_ports(self) -> dict[str, tuple[str, int]]:
        names = {
            variable for item in read_stack()["components"] if (variable := port_variable(item))
        }
        found = {}
        for section in ("supervisord", *self._program_sections()):
            environment = self._environment(section)
            for name in names & environment.keys():
                if environment[name].isdigit():
                    host = environment.get(name.replace("_PORT", "_HOST")) or "127.0.0.1"
                    found[name] = host, int(environment[name])
        return found

    @property
    def monitor(self) -> str:
        """The name of the program that is the monitor; the empty string if there is none. A file
        of an earlier version does not state it."""
        if self._parser.has_option("swf-testbed", "listens"):
            return self._value("swf-testbed", "monitor") or ""
        return self._value("swf-testbed", "monitor") or name_of("monitor")

    @property
    def monitor_page(self) -> tuple[str, tuple[str, int]] | None:
        """The URL of the monitor's page, and where the monitor of this testbed listens."""
        ports = self.ports()
        listens = ports.get(self.monitor) or ports.get("SWF_MONITOR_PORT")
        if not listens:
            return None
        url = self._value("swf-testbed", "monitor_url") or f"http://127.0.0.1:{listens[1]}"
        return url.rstrip("/") + "/", listens

    @property
    def health_url(self) -> str | None:
        """The URL of the health report of the monitor; None if its stack has none."""
        if url := self._value("swf-testbed", "monitor_url"):
            page = self._value("swf-testbed", "health_page")
        else:  # a file of an earlier version
            url, page = self.monitor_environment.get("SWF_MONITOR_URL"), "/api/health/"
        return url.rstrip("/") + page if url and page else None

    @property
    def is_provisioned(self) -> bool:
        """Whether the collection has deployed it."""
        return bool(self._value("swf-testbed", "release"))

    @property
    def probes(self) -> list[str]:
        """The probes of a provisioned instance, which only the collection can check."""
        try:
            text = (self.folder / "health.json").read_text(encoding="utf-8")
            # the file of an earlier version begins with a comment
            found = json.loads(text[text.index("{") :]) if self.is_provisioned else {}
        except (OSError, ValueError):
            return []
        return [probe["name"] for probe in found.get("probes", [])]

    @property
    def health_command(self) -> str:
        """The command that checks the health; the empty string if there is none."""
        if self.health_url and not self.probes:
            return self.command("status")
        return "ansible-playbook playbooks/status.yml" if self.is_provisioned else ""

    @property
    def ca_certificates(self) -> Path:
        """The file with the CAs that the programs of a provisioned instance trust."""
        return Path(self.monitor_environment.get("SWF_MONITOR_CA_CERTS") or self.folder / "ca.pem")

    @property
    def api_token(self) -> str:
        """The token for the monitor; the empty string if this login cannot read it."""
        try:
            return (self.folder / "secrets" / "api_token").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return ""

    @property
    def monitor_environment(self) -> dict[str, str]:
        """The environment of the monitor; empty if this testbed has no monitor."""
        section = f"program:{self.monitor}"
        if section not in self._parser.sections():
            return {}
        try:
            return self._environment("supervisord") | self._environment(section)
        except TestbedError:
            return {}

    def programs(self) -> list[Program]:
        """The programs of this file, without those of included files, which only the daemon has."""
        found = []
        for section in self._program_sections():
            logs = [self._value(section, key) or "" for key in ("stdout_logfile", "stderr_logfile")]
            name = section.partition(":")[2]
            found.append(Program(name, *(str(self.folder / log) if log else "" for log in logs)))
        return found

    def environments(self) -> dict[str, dict[str, str]]:
        """The variables of each program, without those of the login."""
        return {
            section.partition(":")[2]: {
                name: value
                for name, value in (
                    self._environment("supervisord") | self._environment(section)
                ).items()
                if name not in OF_A_LOGIN
            }
            for section in self._program_sections()
        }

    def _program_sections(self) -> list[str]:
        return [name for name in self._parser.sections() if re.match("program:.", name)]

    def _environment(self, section: str) -> dict[str, str]:
        try:
            return dict(dict_of_key_value_pairs(self._value(section, "environment") or ""))
        except ValueError as error:
            raise TestbedError(
                f"{self.configuration}: [{section}] environment: {error}",
                f"edit {self.configuration}",
            ) from None

    @property
    def unit(self) -> Unit | None:
        """The systemd unit of a provisioned instance."""
        name = self._value("swf-testbed", "unit")
        return Unit(name, self._value("swf-testbed", "unit_scope") or "system") if name else None

    @contextmanager
    def lock(self, patience: float) -> Iterator[None]:
        """Let only one command at a time start or stop this instance.

        With a unit, systemd does that: operators use the command, too, and cannot write in the
        directory of the socket.
        """
        if self.unit:
            yield
            return
        socket = self.server_url.removeprefix("unix://")
        path = socket if socket.startswith("/") else str(self.folder / "supervisor.sock")
        try:
            with exclusive(f"{path}.lock", patience):
                yield
        except LockHeld as error:
            cause = f"another command is working on this testbed: {error}"
            raise TestbedError(cause, self.command("status")) from None

    def _value(self, section: str, key: str) -> str | None:
        text = self._parser.get(section, key, fallback=None)
        if text is None:
            return None
        values: dict[str, Any] = {f"ENV_{name}": value for name, value in os.environ.items()}
        values |= {
            "here": str(self.folder),
            "host_node_name": platform.node(),
            "program_name": section.partition(":")[2],
            "group_name": section.partition(":")[2],
            "process_num": 0,
            "numprocs": 1,
        }
        try:
            return (text % values).strip()
        except (KeyError, ValueError, TypeError):
            raise TestbedError(
                f"{self.configuration}: [{section}] {key} has a %( ) that supervisor cannot expand",
                f"edit {self.configuration}",
            ) from None


def owner(path: Path) -> str:
    """The owner of a file; root if that cannot be determined."""
    try:
        return path.owner()
    except (KeyError, OSError):
        return "root"
