# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-testbed init`: the folder of a testbed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import sysconfig
import time
from importlib.resources import files
from pathlib import Path

from swf_testbed_cli.errors import TestbedError
from swf_testbed_cli.instance import FILE_NAME

SOCKET_NAME = "supervisor.sock"
# supervisord first binds <socket>.<pid>, and a unix socket's path ends at 107 bytes.
LONGEST_SOCKET_PATH = 99
# A path with one of these cannot be written in supervisord.conf so that supervisor reads it back.
UNFIT_CHARACTERS = "\"'\\%;#\n\r"
# Copies of a supervisord.conf that `init --force` replaced: so many of them stay.
COPIES_KEPT = 10
_COPY = re.compile(re.escape(FILE_NAME) + r"\.\d{8}T\d{6}Z(-\d+)?")
PROGRAMS = (
    "swf-testbed-broker",
    "swf-monitor",
    "swf-daqsim-agent",
    "swf-data-agent",
    "swf-processing-agent",
    "swf-fastmon-agent",
    "swf-mcp-agent",
)
# Starting, stopping and log rotation are the same for all programs.
COMMON_SETTINGS = """\
autostart=true
startsecs=2
startretries=3
stopwaitsecs=10
stopasgroup=true
killasgroup=true
stdout_logfile=%(here)s/logs/%(program_name)s.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
stderr_logfile=%(here)s/logs/%(program_name)s.err.log
stderr_logfile_maxbytes=1MB
stderr_logfile_backups=1"""


def initialise(
    folder: Path, *, force: bool, broker_port: int, monitor_port: int, mcp_port: int
) -> tuple[list[str], Path | None]:
    """Makes `folder` a testbed; returns what was made, relative to it, and the copy of what was
    replaced.

    An existing supervisord.conf is replaced only with `force`, and a copy of it stays beside it.
    Secrets and data that are there always stay. Raises TestbedError before anything is changed.
    """
    folder = folder.expanduser().absolute()
    configuration = folder / FILE_NAME
    _check_folder(folder)
    if len({broker_port, monitor_port, mcp_port}) < 3:
        raise TestbedError("two programs cannot have the same port", "swf-testbed init --help")
    programs = _programs_folder()
    if configuration.exists() and not force:
        raise TestbedError(
            f"already initialised: {configuration} exists",
            "swf-testbed start   (or, to write it anew and keep secrets and data: swf-testbed init "
            "--force)",
        )
    template = files("swf_testbed_cli").joinpath("templates", FILE_NAME).read_text(encoding="utf-8")
    values = {
        "bin": str(programs).replace(" ", "\\ "),
        "broker_port": str(broker_port),
        "monitor_port": str(monitor_port),
        "mcp_port": str(mcp_port),
        "common": COMMON_SETTINGS,
    }
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)

    made = []
    copy = None
    try:
        for name in ("logs", "secrets", "data/stf", "data/monitor", "data/broker"):
            if not (folder / name).is_dir():
                (folder / name).mkdir(mode=0o700, parents=True)
                made.append(f"{name}/")
        (folder / "secrets").chmod(0o700)
        for name, secret in _new_secrets().items():
            path = folder / "secrets" / name
            if path.exists():
                path.chmod(0o600)
            else:
                _write(path, secret + "\n", 0o600)
                made.append(f"secrets/{name}")
        if os.path.lexists(configuration) and _differs(configuration, template):
            copy = _keep(configuration)
        _write(configuration, template, 0o644)
        made.append(FILE_NAME)
    except OSError as error:
        where = error.filename or folder
        raise TestbedError(
            f"cannot write {where}: {error.strerror}", "swf-testbed init ~/testbed"
        ) from None
    return made, copy


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_bytes() != text.encode()


def _keep(path: Path) -> Path:
    """Keeps a file before it is replaced, beside it, with its mode and owner; the oldest copies
    go."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    copies = [_age_of(place) for place in _copies_of(path)]
    # never the number of a copy that went: it would count as the oldest of its second, and go next
    number = max((number for second, number in copies if second == moment), default=-1) + 1
    copy = path.with_name(f"{path.name}.{moment}-{number}" if number else f"{path.name}.{moment}")
    try:
        os.link(path, copy, follow_symlinks=False)
    except OSError:  # not every file system has links
        shutil.copy2(path, copy)
    # the new one stays even where the clock went back
    others = [place for place in _copies_of(path) if place != copy]
    for old in sorted(others, key=_age_of)[: -(COPIES_KEPT - 1)]:
        old.unlink()
    return copy


def _copies_of(path: Path) -> list[Path]:
    return [place for place in path.parent.iterdir() if _COPY.fullmatch(place.name)]


def _age_of(copy: Path) -> tuple[str, int]:
    """What copies are sorted by: the time in their name, and their number within a second."""
    moment, _, number = copy.name.rpartition(".")[2].partition("-")
    return moment, int(number or 0)


def _new_secrets() -> dict[str, str]:
    return {
        "api-token": secrets.token_hex(20),
        "django-secret-key": secrets.token_urlsafe(50),
        "broker-password": secrets.token_urlsafe(24),
    }


def _write(path: Path, text: str, mode: int) -> None:
    """Puts a whole file in place, or nothing; nobody else can read it at any time if `mode` says
    so."""
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


def _programs_folder() -> Path:
    """Where the programs were installed: beside this interpreter, or where pip puts scripts."""
    folders = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    folders.append(Path(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))))
    missing = []
    for folder in folders:
        lacking = [program for program in PROGRAMS if not os.access(folder / program, os.X_OK)]
        if not lacking:
            _check_characters(folder, "python3 -m venv ~/swf-venv")
            return folder
        missing.append(lacking)
    raise TestbedError(
        f"{missing[0][0]} is not installed beside {sys.executable}",
        f"{sys.executable} -m pip install swf-testbed",
    )
