# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the broker, from its command line and its environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swf_testbed_cli import __version__


class SettingsError(Exception):
    """A setting that cannot work; the text is one clear line."""


@dataclass(frozen=True)
class BrokerSettings:
    """What the broker is told. Without a password everybody who reaches the port may use it."""

    host: str
    port: int
    user: str | None
    password: str | None
    data_dir: Path | None
    max_queued_bytes: int
    log_level: str

    def __repr__(self) -> str:
        return f"BrokerSettings(host={self.host!r}, port={self.port}, user={self.user!r})"


def read_settings(
    arguments: Sequence[str] | None, environment: Mapping[str, str]
) -> BrokerSettings:
    """Reads the options; the command line wins over the environment. Raises SettingsError."""
    given = _parser(environment).parse_args(arguments)
    password = _secret("SWF_BROKER_PASSWORD", environment)
    user = given.user or None
    if (user is None) != (password is None):
        have, lack = (
            ("--user", "SWF_BROKER_PASSWORD(_FILE)")
            if user
            else ("SWF_BROKER_PASSWORD", "SWF_BROKER_USER")
        )
        raise SettingsError(
            f"{have} is set and {lack} is not: give both, or neither for a broker without login"
        )
    level = environment.get("SWF_LOG_LEVEL", "INFO").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError("SWF_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR")
    data_dir = environment.get("SWF_BROKER_DATA_DIR")
    return BrokerSettings(
        host=given.host,
        port=_number("the port", given.port, 0, 65535),
        user=user,
        password=password,
        data_dir=Path(data_dir).expanduser() if data_dir else None,
        max_queued_bytes=_number(
            "SWF_BROKER_MAX_QUEUED_MB", environment.get("SWF_BROKER_MAX_QUEUED_MB", "256"), 1, 2**20
        )
        * 2**20,
        log_level=level,
    )


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="swf-testbed-broker",
        description="The embedded STOMP broker of the ePIC Streaming Workflow Testbed.",
        epilog="Environment: SWF_BROKER_HOST, SWF_BROKER_PORT, SWF_BROKER_USER, "
        "SWF_BROKER_PASSWORD or"
        " SWF_BROKER_PASSWORD_FILE, SWF_BROKER_DATA_DIR (where persistent messages outlive the "
        "process;"
        " unset: in memory only), SWF_BROKER_MAX_QUEUED_MB (256: more than that in the queues is "
        "refused),"
        " SWF_LOG_LEVEL (INFO).",
    )
    parser.add_argument(
        "--host",
        default=environment.get("SWF_BROKER_HOST") or "127.0.0.1",
        help="address to listen on (%(default)s)",
    )
    parser.add_argument(
        "--port",
        default=environment.get("SWF_BROKER_PORT") or "61613",
        help="port to listen on (%(default)s)",
    )
    parser.add_argument(
        "--user", default=environment.get("SWF_BROKER_USER"), help="the user clients log in as"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _number(what: str, text: str, smallest: int, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and smallest <= int(text) <= largest):
        raise SettingsError(f"{what} must be a number from {smallest} to {largest}")
    return int(text)


def _secret(name: str, environment: Mapping[str, str]) -> str | None:
    """The value of `name`, or what the file named by `name`_FILE holds without its last line
    end."""
    value, path = environment.get(name), environment.get(f"{name}_FILE")
    if value and path:
        raise SettingsError(f"{name} and {name}_FILE are both set: give one of them")
    if not path:
        return value or None
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"cannot read {name}_FILE ({path}): {cause}") from None
    text = text.rstrip("\r\n")
    if not text:
        raise SettingsError(f"{name}_FILE ({path}) is empty")
    return text
