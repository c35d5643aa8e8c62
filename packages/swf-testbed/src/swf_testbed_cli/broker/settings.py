# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the broker, from its command line and its environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swf_common_lib.settings import ConfigurationError, Environment

from swf_testbed_cli import __version__

_OPTIONS = (
    ("--host", "SWF_BROKER_HOST", "address to listen on (127.0.0.1)"),
    ("--port", "SWF_BROKER_PORT", "port to listen on (61613)"),
    ("--user", "SWF_BROKER_USER", "user name of the clients (none: no login)"),
)


@dataclass(frozen=True)
class BrokerSettings:
    """The settings of the broker. Without a password, everybody who reaches the port may use it."""

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
    """Read the options; the command line overrides the environment. Raises ConfigurationError."""
    options = vars(_parser().parse_args(arguments))
    given = {name: value for name, value in options.items() if value is not None}
    env = Environment({**environment, **given})
    user, password = env.text("SWF_BROKER_USER"), env.secret("SWF_BROKER_PASSWORD")
    if bool(user) != bool(password):
        present, missing = "SWF_BROKER_USER (--user)", "SWF_BROKER_PASSWORD(_FILE)"
        if password:
            present, missing = missing, present
        raise ConfigurationError(
            f"{present} is set and {missing} is not: set both, or neither for no login"
        )
    data_dir = env.text("SWF_BROKER_DATA_DIR")
    return BrokerSettings(
        host=env.text("SWF_BROKER_HOST", "127.0.0.1"),
        port=env.integer("SWF_BROKER_PORT", 61613, maximum=65535),
        user=user or None,
        password=password or None,
        data_dir=Path(data_dir).expanduser() if data_dir else None,
        max_queued_bytes=env.integer("SWF_BROKER_MAX_QUEUED_MB", 256, minimum=1, maximum=2**20)
        * 2**20,
        log_level=env.log_level(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="swf-testbed-broker",
        description="The embedded STOMP broker of the ePIC Streaming Workflow Testbed.",
        epilog="Each option overrides the environment variable in brackets. Further variables: "
        "SWF_BROKER_PASSWORD or SWF_BROKER_PASSWORD_FILE; SWF_BROKER_DATA_DIR, the directory of "
        "persistent messages (if it is not set, they are in memory only); "
        "SWF_BROKER_MAX_QUEUED_MB, the maximum size of queued messages (256); "
        "SWF_LOG_LEVEL (INFO).",
    )
    for flag, variable, text in _OPTIONS:
        parser.add_argument(flag, dest=variable, metavar="VALUE", help=f"{text} [{variable}]")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser
