# SPDX-License-Identifier: GPL-3.0-or-later
"""Client of the monitor's REST API."""

from __future__ import annotations

import contextlib
import json
import logging
import ssl
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from swf_common_lib.retry import Backoff, Outage
from swf_common_lib.settings import ConfigurationError, MonitorSettings
from swf_common_lib.shutdown import Shutdown

logger = logging.getLogger(__name__)

_PAGE = 1000
_TIMEOUT = urllib3.Timeout(connect=5.0, read=15.0)


class MonitorError(Exception):
    """The monitor did not do what was asked. The text never holds the token."""


class MonitorUnavailable(MonitorError):
    """It could not be reached, or failed (5xx)."""


class MonitorResponseError(MonitorError):
    """It refused the request (3xx, 4xx): the same request would be refused again.

    :param status: the HTTP status
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class TokenError(MonitorResponseError):
    """It refused the token (401, 403)."""


class MonitorClient:
    """Speaks to the monitor. Its methods may be called from any thread.

    Proxies, netrc and other settings of HTTP clients in the environment are ignored on purpose: a
    netrc entry for the host, e.g. for a package index, would take the place of the token.

    :param settings: where the monitor is
    :param shutdown: ends the waiting between attempts, with :class:`Stopping`
    :param patient: try again, for as long as it takes, when the monitor cannot be reached or fails
        (5xx); otherwise raise :class:`MonitorUnavailable`. What is refused (4xx) is never tried
        again.
    :raises ConfigurationError: the CA bundle cannot be used
    """

    def __init__(self, settings: MonitorSettings, shutdown: Shutdown, patient: bool = True) -> None:
        self._url = settings.url
        self._token = settings.token
        self._shutdown = shutdown
        self._patient = patient
        self._outage = Outage(logger, f"monitor {settings.url}")
        self._http = urllib3.PoolManager(
            maxsize=4, timeout=_TIMEOUT, retries=False, ssl_context=_tls_context(settings)
        )

    def heartbeat(self, **fields: Any) -> None:
        """Tell that an agent is alive."""
        self._request("POST", "/api/systemagents/heartbeat/", fields)

    def goodbye(self, instance_name: str, pid: int) -> None:
        """Tell that an agent ends in good order, so that it is not missed, if the monitor is
        there."""
        query = urlencode({"pid": pid})
        with contextlib.suppress(MonitorError):
            self._request("DELETE", f"/api/systemagents/{quote(instance_name, safe='')}/?{query}")

    def create_run(self) -> int:
        """Allocate a run number, unique for ever. A lost answer leaves a number unused."""
        return int(self._request("POST", "/api/runs/", {})["run_id"])

    def update_run(self, run_id: int, **fields: Any) -> None:
        """Change `status`, `started_at`, `ended_at` or `total_files`."""
        self._request("PATCH", f"/api/runs/{run_id}/", fields)

    def register_stf(self, **fields: Any) -> dict[str, Any]:
        """Register an STF file; nothing changes if it is known. Gives the file as the monitor has
        it now."""
        return dict(self._request("POST", "/api/stf-files/", fields))

    def update_stf(self, filename: str, **fields: Any) -> dict[str, Any]:
        """Change `status`, `reason` or `processing_seconds`; gives the file as the monitor has it
        now."""
        return dict(self._request("PATCH", f"/api/stf-files/{quote(filename, safe='')}/", fields))

    def register_tf(self, **fields: Any) -> None:
        """Register a time frame, and so mark its STF file as sampled; nothing happens if it is
        known."""
        self._request("POST", "/api/tf-files/", fields)

    def stf_files(self, **filters: Any) -> list[dict[str, Any]]:
        """STF files: filters `status`, `sampled` ("true" or "false"), `older_than` (s), `run_id`,
        `limit`."""
        return self._list("/api/stf-files/", filters)

    def runs(self, **filters: Any) -> list[dict[str, Any]]:
        """Runs, the newest first: filter `limit`."""
        return self._list("/api/runs/", filters)

    def messages(self, **filters: Any) -> list[dict[str, Any]]:
        """Messages, the newest first: filters `msg_type`, `limit`."""
        return self._list("/api/messages/", filters)

    def agents(self) -> list[dict[str, Any]]:
        """All agents that ever sent a heartbeat."""
        return self._list("/api/systemagents/", {})

    def summary(self) -> dict[str, Any]:
        """Counts of runs, files and messages, and the agents."""
        return dict(self._request("GET", "/api/summary/"))

    def health(self) -> dict[str, Any]:
        """Whether the monitor works, also if it says that it does not (503)."""
        return dict(self._request("GET", "/api/health/", accept_503=True))

    def _list(self, path: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
        """Up to `limit` rows, or all; the monitor gives at most 1000 at a time."""
        limit = filters.get("limit")
        given = {name: value for name, value in filters.items() if value is not None}
        rows: list[dict[str, Any]] = []
        while True:
            size = _PAGE if limit is None else min(_PAGE, limit - len(rows))
            query = urlencode({**given, "limit": size, "offset": len(rows)})
            reply = self._request("GET", f"{path}?{query}")
            rows += reply["results"]
            if not reply["next"] or (limit is not None and len(rows) >= limit):
                return rows

    def _request(self, method: str, path: str, body: Any = None, accept_503: bool = False) -> Any:
        backoff = Backoff()
        while True:
            try:
                reply = self._attempt(method, path, body, accept_503)
            except MonitorUnavailable as error:
                if not self._patient:
                    raise
                self._outage.failed(str(error))
                self._shutdown.pause(backoff.delay())
            else:
                self._outage.over()
                return reply

    def _attempt(self, method: str, path: str, body: Any, accept_503: bool) -> Any:
        headers = {"Accept": "application/json", "Authorization": f"Token {self._token}"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        try:
            # A redirect is not followed: it could carry the token to another host.
            url = self._url + path
            response = self._http.request(method, url, body=data, headers=headers, redirect=False)
        except (HTTPError, OSError) as error:
            # `from None`: the chain would show request objects.
            raise MonitorUnavailable(_describe(error)) from None
        status = response.status
        if (status >= 500 and not (accept_503 and status == 503)) or status == 429:
            raise MonitorUnavailable(f"answered {status} to {method} {path}")
        if status in (401, 403):
            raise TokenError(
                status, f"the monitor refused the token ({status}): check SWF_API_TOKEN"
            )
        if 300 <= status < 500:
            text = response.data.decode("utf-8", "replace")[:300]
            raise MonitorResponseError(
                status, f"the monitor answered {status} to {method} {path}: {text}"
            )
        try:
            return json.loads(response.data) if response.data else None
        except ValueError:
            raise MonitorUnavailable(
                f"answered {method} {path} with something that is not JSON"
            ) from None


def _describe(error: Exception) -> str:
    """The cause in a few words that are the same at each attempt (urllib3's texts hold object
    addresses)."""
    if isinstance(error, SSLError):
        return f"TLS: {error}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _tls_context(settings: MonitorSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_certs or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"SWF_MONITOR_CA_CERTS: {settings.ca_certs} is not a CA bundle"
        ) from error
