# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the broker, from its command line and its environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swf_broker import __version__
from swf_broker.routing import DEAD_LETTERS, Routing
from swf_broker.unread import UnreadLimits

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MEBIBYTE = 2**20
_OPTIONS = (
    ("--host", "SWF_BROKER_HOST", "address to listen on (127.0.0.1)"),
    ("--port", "SWF_BROKER_PORT", "port to listen on (61613)"),
    ("--user", "SWF_BROKER_USER", "user name of the clients (none: no login)"),
)
_EPILOG = """\
Each option overrides the environment variable in brackets. Further variables:
  SWF_BROKER_PASSWORD, SWF_BROKER_PASSWORD_FILE
                                 the password, or the file that contains it
  SWF_BROKER_LOGINS_FILE         JSON file with further logins, each for the
                                 addresses of a namespace; it may change at any time
  SWF_BROKER_TLS_CERT, SWF_BROKER_TLS_KEY
                                 files in PEM; with them, the port accepts only TLS
  SWF_BROKER_ANYCAST             addresses whose messages go to one of their
                                 subscriptions, separated by commas
  SWF_BROKER_MULTICAST           addresses whose messages go to all of them
  SWF_BROKER_DATA_DIR            directory of persistent messages (none: they are
                                 in memory only)
  SWF_BROKER_MAX_QUEUED_MB       maximum size of all queued messages (256)
  SWF_BROKER_UNREAD_MAX_MESSAGES, SWF_BROKER_UNREAD_MAX_MB,
  SWF_BROKER_UNREAD_MAX_SECONDS  limits of the messages of an address that nobody
                                 reads (100000, 128, no limit)
  SWF_LOG_LEVEL                  DEBUG, INFO, WARNING or ERROR (INFO)
"""


class ConfigurationError(ValueError):
    """A setting is missing or wrong. The message is one line that names the variable and contains
    no secret."""


@dataclass(frozen=True)
class BrokerSettings:
    """The settings of the broker. Without a password, everybody who reaches the port may use it."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    logins_file: Path | None  # further logins
    tls: tuple[Path, Path] | None  # certificate and key
    routing: Routing
    data_dir: Path | None
    max_queued_bytes: int
    unread: UnreadLimits
    log_level: str


def read_settings(
    arguments: Sequence[str] | None, environment: Mapping[str, str]
) -> BrokerSettings:
    """Read the options; the command line overrides the environment. Raises ConfigurationError."""
    options = vars(_parser().parse_args(arguments))
    given = {name: value for name, value in options.items() if value is not None}
    env = _Environment({**environment, **given})
    data_dir = env.text("SWF_BROKER_DATA_DIR")
    user, password = _login(env)
    logins_file = env.text("SWF_BROKER_LOGINS_FILE")
    if logins_file and not password:
        raise ConfigurationError(
            "SWF_BROKER_LOGINS_FILE is set and SWF_BROKER_PASSWORD(_FILE) is not: without it, "
            "everybody may use every address"
        )
    return BrokerSettings(
        host=env.text("SWF_BROKER_HOST", "127.0.0.1"),
        port=env.integer("SWF_BROKER_PORT", 61613, 0, 65535),
        user=user,
        password=password,
        logins_file=Path(logins_file) if logins_file else None,
        tls=_tls(env),
        routing=_routing(env),
        data_dir=Path(data_dir).expanduser() if data_dir else None,
        max_queued_bytes=env.integer("SWF_BROKER_MAX_QUEUED_MB", 256, 1, 2**20) * MEBIBYTE,
        unread=UnreadLimits(
            messages=env.integer("SWF_BROKER_UNREAD_MAX_MESSAGES", 100_000, 1, 10**9),
            size=env.integer("SWF_BROKER_UNREAD_MAX_MB", 128, 1, 2**20) * MEBIBYTE,
            seconds=env.integer("SWF_BROKER_UNREAD_MAX_SECONDS", 0, 0, 10**9) or None,
        ),
        log_level=env.choice("SWF_LOG_LEVEL", LOG_LEVELS, "INFO"),
    )


class _Environment:
    """Typed access to environment variables; an empty value counts as not set."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, "").strip() or default

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        raw = self.text(name, str(default))
        try:
            value = int(raw)
        except ValueError:
            raise ConfigurationError(f"{name} must be a whole number, not {raw!r}") from None
        if not minimum <= value <= maximum:
            raise ConfigurationError(f"{name} must be from {minimum} to {maximum}, not {value}")
        return value

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = self.text(name, default).upper()
        if value not in choices:
            raise ConfigurationError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        return value

    def names(self, name: str) -> frozenset[str]:
        return frozenset(part.strip() for part in self.text(name).split(",") if part.strip())

    def secret(self, name: str) -> str:
        """The variable, or the content of the file that `<name>_FILE` names, without its line end;
        "" if neither is set."""
        value, path = self._values.get(name, ""), self.text(f"{name}_FILE")
        if not path:
            return value
        if value:
            raise ConfigurationError(f"{name} and {name}_FILE are both set: set one of them")
        try:
            content = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise ConfigurationError(f"{name}_FILE: cannot read {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{name}_FILE: {path} is not a text file") from None
        if not content:
            raise ConfigurationError(f"{name}_FILE: {path} is empty")
        return content


def _login(env: _Environment) -> tuple[str | None, str | None]:
    user, password = env.text("SWF_BROKER_USER"), env.secret("SWF_BROKER_PASSWORD")
    if bool(user) != bool(password):
        present, missing = "SWF_BROKER_USER (--user)", "SWF_BROKER_PASSWORD(_FILE)"
        if password:
            present, missing = missing, present
        raise ConfigurationError(
            f"{present} is set and {missing} is not: set both, or neither for no login"
        )
    return user or None, password or None


def _tls(env: _Environment) -> tuple[Path, Path] | None:
    certificate, key = env.text("SWF_BROKER_TLS_CERT"), env.text("SWF_BROKER_TLS_KEY")
    if bool(certificate) != bool(key):
        raise ConfigurationError(
            "SWF_BROKER_TLS_CERT and SWF_BROKER_TLS_KEY belong together: set both, or neither for "
            "no TLS"
        )
    return (Path(certificate), Path(key)) if key else None


def _routing(env: _Environment) -> Routing:
    routing = Routing(env.names("SWF_BROKER_ANYCAST"), env.names("SWF_BROKER_MULTICAST"))
    both = sorted(routing.anycast & routing.multicast)
    if both:
        raise ConfigurationError(
            f"{both[0]} is in SWF_BROKER_ANYCAST and in SWF_BROKER_MULTICAST: remove it from one"
        )
    if not routing.is_anycast(DEAD_LETTERS):
        raise ConfigurationError(
            f"SWF_BROKER_MULTICAST contains {DEAD_LETTERS}, which stores rejected messages: "
            "remove it"
        )
    return routing


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="swf-broker",
        description="The embedded STOMP broker of the ePIC Streaming Workflow Testbed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for flag, variable, text in _OPTIONS:
        parser.add_argument(flag, dest=variable, metavar="VALUE", help=f"{text} [{variable}]")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser
