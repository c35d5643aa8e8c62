# SPDX-License-Identifier: GPL-3.0-or-later
"""XML-RPC to supervisord, over its unix socket or over TCP, with a time limit."""

from __future__ import annotations

import base64
import http.client
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from swf_testbed_cli.errors import NotRunning, TestbedError
from swf_testbed_cli.instance import Instance, owner

TIMEOUT_SECONDS = 15.0

# Fault codes of supervisor's interface.
BAD_NAME, NO_FILE = 10, 20


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, url: str, credentials: tuple[str, str] | None) -> None:
        headers = []
        if credentials:
            token = base64.b64encode(":".join(credentials).encode()).decode()
            headers.append(("Authorization", f"Basic {token}"))
        super().__init__(headers=headers)
        self._url = url

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        if self._url.startswith("unix://"):
            return _UnixConnection(self._url.removeprefix("unix://"))
        return http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=TIMEOUT_SECONDS)


class Supervisor:
    """The daemon of an instance. Calls raise NotRunning or another TestbedError if it is
    unavailable."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.url = instance.server_url
        self._transport = _Transport(self.url, instance.credentials)
        self._proxy = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=self._transport)

    @property
    def socket_path(self) -> Path | None:
        """The unix socket of the daemon, if it has one."""
        return Path(self.url.removeprefix("unix://")) if self.url.startswith("unix://") else None

    @property
    def is_local(self) -> bool:
        """Whether the daemon's files are files of this host."""
        return self.url.startswith("unix://") or urlsplit(self.url).hostname in (
            "127.0.0.1",
            "localhost",
            "::1",
        )

    def call(self, method: str, *arguments: Any) -> Any:
        """Call `method`. Raises xmlrpc.client.Fault if the daemon refuses."""
        where = self.url.removeprefix("unix://")
        start = self.instance.command("start")
        try:
            return getattr(self._proxy, method)(*arguments)
        except xmlrpc.client.ProtocolError as error:
            if error.errcode == 401:
                cause = f"the daemon at {where} rejected the credentials in [supervisorctl]"
                raise TestbedError(cause, f"edit {self.instance.configuration}") from None
            cause = f"the server at {where} is not supervisord ({error.errcode} {error.errmsg})"
            raise TestbedError(cause, f"edit {self.instance.configuration}") from None
        except FileNotFoundError:
            raise NotRunning("the testbed is not running", start) from None
        except ConnectionRefusedError:
            stale = self.url.startswith("unix://")
            cause = (
                f"the daemon is dead, but its socket {where} exists"
                if stale
                else "the testbed is not running"
            )
            raise NotRunning(cause, start, stale=stale) from None
        except PermissionError:
            cause = f"permission denied: the socket {where} belongs to another user"
            raise TestbedError(
                cause, f"sudo -u {owner(Path(where))} {self.instance.command('status')}"
            ) from None
        except TimeoutError:
            cause = f"the daemon at {where} accepts the connection and does not answer"
            raise TestbedError(cause, f"look at {self.instance.main_log}") from None
        except (OSError, http.client.HTTPException, ExpatError) as error:
            cause = f"the daemon at {where} does not answer: {error or type(error).__name__}"
            raise TestbedError(cause, f"look at {self.instance.main_log}") from None

    def multicall(self, *calls: tuple[str, list[Any]]) -> list[Any]:
        """Several calls in one request.

        It calls `system.multicall` itself: supervisor returns bare values, for which
        xmlrpc.client.MultiCall raises. The result of a refused call is {"faultCode",
        "faultString"}.
        """
        answer: list[Any] = self.call(
            "system.multicall",
            [{"methodName": name, "params": arguments} for name, arguments in calls],
        )
        return answer

    def answers(self) -> bool:
        """Whether a daemon answers. Raises TestbedError if access is denied."""
        try:
            self.call("supervisor.getState")
        except NotRunning:
            return False
        return True
