# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-testbed init`: create the folder of a testbed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, StrictUndefined, TemplateError

from swf_testbed_cli.errors import TestbedError
from swf_testbed_cli.instance import DEFAULT_INSTANCE, FILE_NAME
from swf_testbed_cli.stack import deploy, program_of, read_stack, resource

SOCKET_NAME = "supervisor.sock"
# supervisord replaces it by the path of the folder, which can be moved.
HERE = "%(here)s"
# supervisord first binds <socket>.<pid>, and a unix socket's path ends at 107 bytes.
LONGEST_SOCKET_PATH = 99
# A path with one of these has no form in supervisord.conf that supervisor reads unchanged.
UNFIT_CHARACTERS = "\"'\\%;#\n\r"
# `init --force` copies the supervisord.conf that it replaces: the number of copies that stay.
COPIES_RETAINED = 10
_COPY = re.compile(re.escape(FILE_NAME) + r"\.\d{8}T\d{6}Z(-\d+)?")
DIRECTORIES = ("logs", "secrets", "data/stf", "data/monitor", "data/broker")
# The secrets: file, its name in folders of earlier versions, and how a new secret is generated.
SECRETS: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("api_token", "api-token", lambda: secrets.token_hex(20)),
    ("monitor_secret_key", "django-secret-key", lambda: secrets.token_urlsafe(50)),
    ("broker_password", "broker-password", lambda: secrets.token_urlsafe(24)),
)
# Variables of the stack file that a folder does not set: the programs use their own defaults.
NOT_SET = (
    "broker_tls",
    "ca_cert",
    "database_host",
    "keep_files",
    "log_level",
    "max_files",
    "monitor_keep_days",
    "monitor_login_required",
    "monitor_max_messages",
    "monitor_max_stf_files",
    "monitor_topic",
    "monitor_trusted_proxies",
    "namespace_keep_days",
    "namespace_take_over",
    "run_count",
    "run_pause",
    "stf_interval",
    "stf_per_run",
    "stf_size",
)


def initialise(
    folder: Path,
    stack_file: Path | None = None,
    *,
    force: bool,
    broker_port: int,
    monitor_port: int,
    mcp_port: int,
) -> tuple[list[str], Path | None]:
    """Make `folder` a testbed of the reference stack or of a stack file. Return the created files
    and directories, relative to it, and the copy of the replaced supervisord.conf.

    An existing supervisord.conf is replaced only with `force`, after it was copied. Existing
    secrets and data always stay. Raises TestbedError before the first change.
    """
    folder = folder.expanduser().absolute()
    configuration = folder / FILE_NAME
    _check_folder(folder)
    stack = read_stack(stack_file)
    programs = _programs_folder(stack)
    try:
        context = make_context(
            programs, stack, broker=broker_port, monitor=monitor_port, mcp=mcp_port
        )
    except TemplateError as error:
        cause = f"{stack_file} has a template that has no value in a folder: {error}"
        raise TestbedError(cause, deploy(stack_file)) from None
    ports = [
        str(item["listens"]["port"]) for item in context["instance_programs"] if "listens" in item
    ]
    if len(set(ports)) < len(ports):
        raise TestbedError("two programs cannot have the same port", "swf-testbed init --help")
    if configuration.exists() and not force:
        raise TestbedError(
            f"already initialised: {configuration} exists",
            "swf-testbed start   (or, to replace it and keep secrets and data: swf-testbed init "
            "--force)",
        )
    text = _jinja().from_string(resource("templates", f"{FILE_NAME}.j2")).render(context)

    made = []
    copy = None
    try:
        for name in (
            *DIRECTORIES,
            *(f"data/{name}" for name in stack.get("state_directories", [])),
        ):
            if not (folder / name).is_dir():
                (folder / name).mkdir(mode=0o700, parents=True)
                made.append(f"{name}/")
        made += _place_secrets(folder / "secrets", _secrets_of(stack))
        if os.path.lexists(configuration) and _differs(configuration, text):
            copy = _back_up(configuration)
        _write(configuration, text, 0o644)
        made.append(FILE_NAME)
    except OSError as error:
        where = error.filename or folder
        raise TestbedError(
            f"cannot write {where}: {error.strerror}", "swf-testbed init ~/testbed"
        ) from None
    return made, copy


def make_context(programs: Path, stack: Mapping[str, Any], **ports: int) -> dict[str, Any]:
    """The variables of the template of supervisord.conf, which are the arguments of the
    collection's role _instance: its template and its stack file are those of this package.

    Args:
        programs: The directory of the installed programs.
        stack: The stack, whose templates are rendered. Raises TemplateError if one has no value.
        ports: The port of `broker`, `monitor` and `mcp`.
    """
    secrets_dir = f"{HERE}/secrets"
    layout = {
        "instance": DEFAULT_INSTANCE,
        "scope": "folder",
        "socket": f"{HERE}/{SOCKET_NAME}",
        "run_dir": HERE,
        "log_dir": f"{HERE}/logs",
        "data_dir": f"{HERE}/data/stf",
        "state_dir": f"{HERE}/data",
        "secrets_dir": secrets_dir,
        "logins_dir": f"{HERE}/logins",
        "readable_secrets_dir": secrets_dir,
    }
    page = stack.get("health", {}).get("page", "")
    variables = {
        **{f"swf_testbed_{name}": "" for name in NOT_SET},
        **{f"swf_testbed_{name}_host": "127.0.0.1" for name in ports},
        **{f"swf_testbed_{name}_port": port for name, port in ports.items()},
        "swf_testbed_broker_user": "swf",
        "swf_testbed_monitor_url": f"http://127.0.0.1:{ports['monitor']}",
        "swf_testbed_instance": "testbed",
        # broker and monitor are its own, and the folder can be moved to another host
        "swf_testbed_namespace": "testbed",
        "swf_testbed_namespace_owner": "testbed",
        "swf_testbed_layout": layout,
        "swf_testbed_stack_health": {"page": page},
    }
    jinja = _jinja()

    def rendered(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: rendered(item) for name, item in value.items()}
        return jinja.from_string(value).render(variables) if isinstance(value, str) else value

    def environment(values: Mapping[str, Any]) -> dict[str, str]:
        found = {name: str(rendered(value)) for name, value in values.items()}
        return {name: value for name, value in found.items() if value}

    existing = {name for name, _former, _generate in _secrets_of(stack)}

    def secrets(item: Mapping[str, Any]) -> dict[str, str]:
        """The files of the secrets of the stack or of a component: of those that this has."""
        return {
            variable: f"{secrets_dir}/{name}"
            for variable, name in item.get("secrets", {}).items()
            if name in existing
        }

    def routing(component: Mapping[str, Any]) -> dict[str, str]:
        """What swf-broker is told of the addresses."""
        declared = stack.get("broker", {}) if component["role"] == "broker" else {}
        return {
            f"SWF_BROKER_{routing_type.upper()}": ",".join(declared[routing_type])
            for routing_type in ("anycast", "multicast")
            if declared.get(routing_type)
        }

    def program(component: Mapping[str, Any]) -> dict[str, Any]:
        command = rendered(component["command"])
        own = environment(component.get("environment", {}))
        return {
            **{name: rendered(value) for name, value in component.items() if name != "environment"},
            "command": command if command.startswith("/") else f"{bin_dir}/{command}",
            "environment": {**own, **routing(component), **secrets(component)},
        }

    bin_dir = str(programs).replace(" ", "\\ ")
    return {
        **variables,
        # the programs run in the folder itself
        "instance_layout": {**layout, "state_dir": HERE},
        "instance_environment": {
            **environment(stack.get("environment", {})),
            **secrets(stack),
            # all programs are on this machine: none is reached through a proxy
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        },
        "instance_programs": [program(component) for component in stack["components"]],
        "swf_testbed_log_max_bytes": "10MB",
        "swf_testbed_log_backups": 3,
    }


def _secrets_of(stack: Mapping[str, Any]) -> tuple[tuple[str, str, Callable[[], str]], ...]:
    """The secrets of a folder, and those that the stack has generated."""
    generated = stack.get("generated_secrets", [])
    return (*SECRETS, *((name, name, lambda: secrets.token_hex(20)) for name in generated))


def _jinja() -> Environment:
    jinja = Environment(  # noqa: S701 (no HTML)
        trim_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    jinja.filters |= {
        "urlsplit": lambda url, part: getattr(urlsplit(url), part) or "",
        "combine": lambda values, others: {**values, **others},
        "bnlnpps.swf_testbed.supervisor_escape": _escape,
        "bnlnpps.swf_testbed.supervisor_environment": lambda variables: ",\n".join(
            f'    {name}="{_escape(value)}"' for name, value in variables.items()
        ).lstrip(),
    }
    return jinja


def _escape(value: str) -> str:
    """A value for supervisord, which replaces HERE. No path has another character that it would
    read otherwise."""
    return HERE.join(part.replace("%", "%%") for part in value.split(HERE))


def _place_secrets(
    folder: Path, wanted: tuple[tuple[str, str, Callable[[], str]], ...]
) -> list[str]:
    """Create the secrets that do not exist; return their files. A secret of an earlier version is
    carried over: its file stays as well, for the programs that run and for former configurations.
    """
    folder.chmod(0o700)
    made = []
    for name, former_name, generate in wanted:
        path, former = folder / name, folder / former_name
        for existing in (path, former):
            if existing.exists():
                existing.chmod(0o600)
        if not path.exists():
            _write(path, former.read_text() if former.exists() else generate() + "\n", 0o600)
            made.append(f"secrets/{name}")
    return made


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_bytes() != text.encode()


def _back_up(path: Path) -> Path:
    """Copy a file before it is replaced, with its mode and owner, and remove the oldest copies."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    copies = [_age_of(place) for place in _copies_of(path)]
    # never the number of a removed copy: the new one would be the oldest of its second
    number = max((number for second, number in copies if second == moment), default=-1) + 1
    copy = path.with_name(f"{path.name}.{moment}-{number}" if number else f"{path.name}.{moment}")
    try:
        os.link(path, copy, follow_symlinks=False)
    except OSError:  # not every file system has links
        shutil.copy2(path, copy)
    # the new one stays even if the clock was set back
    others = [place for place in _copies_of(path) if place != copy]
    for old in sorted(others, key=_age_of)[: -(COPIES_RETAINED - 1)]:
        old.unlink()
    return copy


def _copies_of(path: Path) -> list[Path]:
    return [place for place in path.parent.iterdir() if _COPY.fullmatch(place.name)]


def _age_of(copy: Path) -> tuple[str, int]:
    """The sort key of copies: the time in their name, and their number within a second."""
    moment, _, number = copy.name.rpartition(".")[2].partition("-")
    return moment, int(number or 0)


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file as a whole or not at all. It never has another mode than `mode`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _check_folder(folder: Path) -> None:
    length = len(os.fsencode(folder / SOCKET_NAME))
    if length > LONGEST_SOCKET_PATH:
        raise TestbedError(
            f"the path is too long: the socket {folder / SOCKET_NAME} would have {length} bytes,"
            f" and {LONGEST_SOCKET_PATH} is the limit",
            "swf-testbed init ~/testbed",
        )
    _check_characters(folder, "swf-testbed init ~/testbed")


def _check_characters(path: Path, next_command: str) -> None:
    unfit = [character for character in UNFIT_CHARACTERS if character in str(path)]
    if unfit:
        raise TestbedError(
            f"supervisord.conf cannot hold a path with {unfit[0]!r}: {str(path)!r}", next_command
        )


def _programs_folder(stack: Mapping[str, Any]) -> Path:
    """The directory of the installed programs: that of this interpreter, or the one where pip puts
    scripts. Raises TestbedError if a program of the stack is in none of them."""
    programs = {program_of(item): item for item in stack["components"]}
    needed = [name for name in programs if not name.startswith("/")]
    folders = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    folders.append(Path(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))))
    missing = []
    for folder in folders:
        lacking = [name for name in needed if not os.access(folder / name, os.X_OK)]
        if not lacking:
            _check_characters(folder, "python3 -m venv ~/swf-venv")
            return folder
        missing.append(lacking)
    lost = missing[0][0]
    package = "swf-testbed" if stack == read_stack() else programs[lost].get("package", lost)
    raise TestbedError(
        f"{lost} is not installed for {sys.executable}",
        f"{sys.executable} -m pip install {package}",
    )
