# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings from environment variables, validated once at the start, with errors that name the
variable."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from swf_common_lib.namespace import (
    RULE,
    Namespace,
    default_agent_name,
    default_namespace,
    default_owner,
    valid_namespace,
)

#: Exit code for a wrong setting, also for one that is detected later: a token that the monitor
#: refuses, a port in use.
EXIT_CONFIGURATION = 2
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_TOKEN = re.compile(r"[0-9a-fA-F]{40}")
Number = TypeVar("Number", int, float)


class ConfigurationError(ValueError):
    """A setting is missing or wrong. The message is one line that names the variable and contains
    no secret."""


class Environment:
    """Typed access to environment variables; an empty value counts as not set.

    :param values: the variables; the process environment by default
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = os.environ if values is None else values

    def text(self, name: str, default: str = "") -> str:
        """The variable as text without surrounding whitespace."""
        return self._values.get(name, "").strip() or default

    def integer(self, name: str, default: int, minimum: int = 0, maximum: int | None = None) -> int:
        """The variable as a whole number within the bounds (both included)."""
        value = self._number(name, default, int, "a whole number")
        if value < minimum or (maximum is not None and value > maximum):
            bounds = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise ConfigurationError(f"{name} must be {bounds}, not {value}")
        return value

    def seconds(self, name: str, default: float, minimum: float = 0.0) -> float:
        """The variable as a number of seconds, at least `minimum`."""
        value = self._number(name, default, float, "a number of seconds")
        if not minimum <= value < float("inf"):
            raise ConfigurationError(f"{name} must be at least {minimum:g} seconds, not {value}")
        return value

    def _number(
        self, name: str, default: Number, convert: Callable[[str], Number], what: str
    ) -> Number:
        raw = self.text(name)
        try:
            return convert(raw) if raw else default
        except ValueError:
            raise ConfigurationError(f"{name} must be {what}, not {raw!r}") from None

    def flag(self, name: str, default: bool = False) -> bool:
        """The variable as a truth value: true/1/yes/on or false/0/no/off."""
        raw = self.text(name).lower()
        if not raw:
            return default
        if raw not in _TRUE | _FALSE:
            raise ConfigurationError(f"{name} must be true or false, not {raw!r}")
        return raw in _TRUE

    def port(self, name: str, default: int) -> int:
        """The variable as a TCP port."""
        return self.integer(name, default, minimum=1, maximum=65535)

    def secret(self, name: str) -> str:
        """The variable, or the content of the file that `<name>_FILE` names; "" if neither is set.

        Only a line end is removed: a password may begin or end with a blank.

        :raises ConfigurationError: both are set, or the file cannot be read or is empty
        """
        value, path = self._values.get(name, ""), self.text(f"{name}_FILE")
        if not path:
            return value
        if value:
            raise ConfigurationError(f"{name} and {name}_FILE are both set: set one of them")
        try:
            content = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigurationError(f"{name}_FILE: cannot read {path}: {reason}") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{name}_FILE: {path} is not a text file") from None
        if not content:
            raise ConfigurationError(f"{name}_FILE: {path} is empty")
        return content

    def api_token(self) -> str:
        """SWF_API_TOKEN, the token of the monitor's REST API. It is required."""
        token = self.secret("SWF_API_TOKEN")
        if not token:
            raise ConfigurationError("SWF_API_TOKEN (or SWF_API_TOKEN_FILE) is not set")
        if not _TOKEN.fullmatch(token):
            raise ConfigurationError("SWF_API_TOKEN must be 40 hexadecimal characters")
        return token

    def log_level(self) -> str:
        """SWF_LOG_LEVEL, one of `LOG_LEVELS`; INFO by default."""
        level = self.text("SWF_LOG_LEVEL", "INFO").upper()
        if level not in LOG_LEVELS:
            raise ConfigurationError(
                f"SWF_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {level!r}"
            )
        return level

    def existing_file(self, name: str) -> str:
        """The variable as the path of a readable file; "" if it is not set."""
        path = self.text(name)
        if path:
            try:
                with open(path, "rb"):
                    pass
            except OSError as error:
                raise ConfigurationError(f"{name}: cannot read {path}: {error.strerror}") from None
        return path


def tls_context(name: str, ca_certs: str) -> ssl.SSLContext:
    """A context that verifies servers with a CA bundle, or with those of the system if it is "".

    :param name: the variable that names the bundle
    :raises ConfigurationError: the file is not a CA bundle
    """
    try:
        return ssl.create_default_context(cafile=ca_certs or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{name}: {ca_certs} is not a CA bundle") from error


@dataclass(frozen=True)
class BrokerSettings:
    """How to reach the STOMP broker. `heartbeat_ms` is in milliseconds, 0 is off."""

    host: str = "127.0.0.1"
    port: int = 61613
    user: str = ""
    password: str = field(default="", repr=False)
    use_ssl: bool = False
    ca_certs: str = ""
    heartbeat_ms: int = 10000

    @classmethod
    def from_environment(cls, env: Environment) -> BrokerSettings:
        """Read the ACTIVEMQ_* variables.

        :raises ConfigurationError: one of them is wrong
        """
        settings = cls(
            host=env.text("ACTIVEMQ_HOST", cls.host),
            port=env.port("ACTIVEMQ_PORT", cls.port),
            user=env.text("ACTIVEMQ_USER"),
            password=env.secret("ACTIVEMQ_PASSWORD"),
            use_ssl=env.flag("ACTIVEMQ_USE_SSL"),
            ca_certs=env.existing_file("ACTIVEMQ_SSL_CA_CERTS"),
            heartbeat_ms=env.integer("ACTIVEMQ_HEARTBEAT", cls.heartbeat_ms),
        )
        if settings.password and not settings.user:
            raise ConfigurationError("ACTIVEMQ_PASSWORD is set but ACTIVEMQ_USER is not")
        return settings


@dataclass(frozen=True)
class MonitorSettings:
    """How to reach the monitor's REST API."""

    url: str = "http://127.0.0.1:8002"
    token: str = field(default="", repr=False)
    ca_certs: str = ""

    @classmethod
    def from_environment(cls, env: Environment) -> MonitorSettings:
        """Read SWF_MONITOR_URL, SWF_MONITOR_CA_CERTS and SWF_API_TOKEN; the token is required.

        :raises ConfigurationError: one of them is wrong or the token is missing
        """
        return cls(
            url=_http_url(env.text("SWF_MONITOR_URL", cls.url)),
            token=env.api_token(),
            ca_certs=env.existing_file("SWF_MONITOR_CA_CERTS"),
        )


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username is not None or parts.query or parts.fragment:
        # The value is not shown: it may contain a password.
        raise ConfigurationError(
            "SWF_MONITOR_URL must be http(s)://host[:port][/path], without a login"
        )
    return url.rstrip("/")


def namespace_settings(env: Environment) -> Namespace:
    """Read SWF_NAMESPACE, SWF_NAMESPACE_OWNER and SWF_NAMESPACE_TAKE_OVER.

    :raises ConfigurationError: the name is not one of a namespace
    """
    name = env.text("SWF_NAMESPACE", default_namespace())
    if not valid_namespace(name):
        raise ConfigurationError(f"SWF_NAMESPACE must be {RULE}, not {name!r}")
    return Namespace(
        name=name,
        owner=env.text("SWF_NAMESPACE_OWNER", default_owner(env.text("SWF_INSTANCE"))),
        take_over_from=env.text("SWF_NAMESPACE_TAKE_OVER"),
    )


@dataclass(frozen=True)
class AgentSettings:
    """The settings of every agent. `heartbeat_interval` is in seconds."""

    agent_name: str
    broker: BrokerSettings
    monitor: MonitorSettings
    namespace: Namespace
    data_dir: Path = Path("data")
    heartbeat_interval: float = 10.0
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls, agent_type: str, env: Environment) -> AgentSettings:
        """Read all variables.

        :param agent_type: used for the default of SWF_AGENT_NAME
        :raises ConfigurationError: one of them is wrong
        """
        return cls(
            agent_name=env.text(
                "SWF_AGENT_NAME",
                default_agent_name(
                    agent_type, env.text("SUPERVISOR_PROCESS_NAME"), env.text("SWF_INSTANCE")
                ),
            ),
            broker=BrokerSettings.from_environment(env),
            monitor=MonitorSettings.from_environment(env),
            namespace=namespace_settings(env),
            data_dir=Path(env.text("SWF_DATA_DIR", str(cls.data_dir))).expanduser().absolute(),
            heartbeat_interval=env.seconds(
                "SWF_HEARTBEAT_INTERVAL", cls.heartbeat_interval, minimum=0.1
            ),
            log_level=env.log_level(),
        )
