# SPDX-License-Identifier: GPL-3.0-or-later
"""Client of the monitor's REST API."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from swf_common_lib.namespace import Namespace
from swf_common_lib.retry import Backoff, Outage
from swf_common_lib.settings import MonitorSettings, tls_context
from swf_common_lib.shutdown import Shutdown

logger = logging.getLogger(__name__)

#: Each request names the namespace of its agent: the monitor refuses changes of other runs.
NAMESPACE_HEADER = "SWF-Namespace"
_PAGE = 1000
_TIMEOUT = urllib3.Timeout(connect=5.0, read=15.0)


class MonitorError(Exception):
    """A request to the monitor failed. The text never contains the token."""


class MonitorUnavailable(MonitorError):
    """The monitor is unavailable, or returned an error (5xx)."""


class MonitorResponseError(MonitorError):
    """The monitor refused the request (3xx, 4xx): it would refuse the same request again.

    :param status: the HTTP status
    :param detail: the answer of the monitor
    """

    def __init__(self, status: int, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.detail = detail or text


class TokenError(MonitorResponseError):
    """The monitor refused the token (401), or its rights are not sufficient (403)."""


class MonitorClient:
    """A client of the monitor. Its methods may be called from any thread.

    Proxies, netrc and other settings of HTTP clients in the environment are ignored on purpose: a
    netrc entry for the host, e.g. for a package index, would replace the token.

    :param settings: the address and token of the monitor
    :param shutdown: ends the delay between attempts, with :class:`Stopping`
    :param patient: retry without a limit while the monitor is unavailable or returns an error
        (5xx); otherwise raise :class:`MonitorUnavailable`. A refused request (4xx) is never
        retried.
    :param namespace: the namespace of the agent; "" for none
    :raises ConfigurationError: the CA bundle cannot be used
    """

    def __init__(
        self,
        settings: MonitorSettings,
        shutdown: Shutdown,
        patient: bool = True,
        namespace: str = "",
    ) -> None:
        self._url = settings.url
        self._shutdown = shutdown
        self._patient = patient
        self._headers = {"Accept": "application/json", "Authorization": f"Token {settings.token}"}
        if namespace:
            self._headers[NAMESPACE_HEADER] = namespace
        self._outage = Outage(logger, f"monitor {settings.url}")
        self._http = urllib3.PoolManager(
            maxsize=4,
            timeout=_TIMEOUT,
            retries=False,
            ssl_context=tls_context("SWF_MONITOR_CA_CERTS", settings.ca_certs),
        )

    def heartbeat(self, **fields: Any) -> None:
        """Report that an agent is alive."""
        self._request("POST", "/api/systemagents/heartbeat/", fields)

    def goodbye(self, instance_name: str, pid: int) -> None:
        """Report that an agent stops normally, so that it does not count as dead. A monitor that is
        unavailable is ignored."""
        query = urlencode({"pid": pid})
        with contextlib.suppress(MonitorError):
            self._request("DELETE", f"/api/systemagents/{quote(instance_name, safe='')}/?{query}")

    def claim_namespace(self, namespace: Namespace, agent: str) -> dict[str, Any]:
        """Claim a namespace, or confirm the claim; return its record at the monitor.

        :param agent: the name of the agent, as evidence
        :raises MonitorResponseError: it belongs to another owner (409), or the monitor knows no
            namespaces (404)
        """
        body = {
            "name": namespace.name,
            "owner": namespace.owner,
            "take_over_from": namespace.take_over_from,
            "agent": agent,
        }
        return dict(self._request("POST", "/api/namespaces/claim/", body))

    def mark_data_directory(self, namespace: Namespace, data_id: str, place: str) -> dict[str, Any]:
        """Record the data directory of a namespace, unless it has one; return the record of the
        namespace.

        :param data_id: the id in the marker of the directory
        :param place: host and path, as evidence
        """
        path = f"/api/namespaces/{namespace.name}/data/"
        body = {"owner": namespace.owner, "data_id": data_id, "place": place}
        return dict(self._request("POST", path, body))

    def set_aside(self, **fields: Any) -> None:
        """Store a message that nobody can handle: `namespace`, `receiver`, `destination`, `reason`
        and `body`."""
        self._request("POST", "/api/set-aside-messages/", fields)

    def create_run(self, namespace: str = "") -> int:
        """Allocate a run number that is never reused. A lost response leaves a number unused."""
        body = {"namespace": namespace} if namespace else {}
        return int(self._request("POST", "/api/runs/", body)["run_id"])

    def update_run(self, run_id: int, **fields: Any) -> None:
        """Change `status`, `started_at`, `ended_at` or `total_files`."""
        self._request("PATCH", f"/api/runs/{run_id}/", fields)

    def register_stf(self, **fields: Any) -> dict[str, Any]:
        """Register an STF file, if it is not registered yet; return its record at the monitor."""
        return dict(self._request("POST", "/api/stf-files/", fields))

    def update_stf(self, filename: str, **fields: Any) -> dict[str, Any]:
        """Change `status`, `reason` or `processing_seconds`; return the record at the monitor."""
        return dict(self._request("PATCH", f"/api/stf-files/{quote(filename, safe='')}/", fields))

    def register_tf(self, **fields: Any) -> None:
        """Register a time frame, if it is not registered yet. Its STF file then is sampled."""
        self._request("POST", "/api/tf-files/", fields)

    def stf_files(self, **filters: Any) -> list[dict[str, Any]]:
        """STF files: filters `status`, `sampled` ("true" or "false"), `older_than` (s), `run_id`,
        `namespace`, `limit`."""
        return self._list("/api/stf-files/", filters)

    def runs(self, **filters: Any) -> list[dict[str, Any]]:
        """Runs, newest first: filters `status`, `namespace`, `limit`."""
        return self._list("/api/runs/", filters)

    def messages(self, **filters: Any) -> list[dict[str, Any]]:
        """Messages, newest first: filters `msg_type`, `limit`."""
        return self._list("/api/messages/", filters)

    def agents(self) -> list[dict[str, Any]]:
        """All registered agents."""
        return self._list("/api/systemagents/", {})

    def summary(self) -> dict[str, Any]:
        """The numbers of runs, files and messages, and the agents."""
        return dict(self._request("GET", "/api/summary/"))

    def health(self) -> dict[str, Any]:
        """The health report, also if the testbed is not healthy (503)."""
        return dict(self._request("GET", "/api/health/", accept_503=True))

    def _list(self, path: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
        """Up to `limit` rows, or all; the monitor returns at most 1000 at a time."""
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
        headers = dict(self._headers)
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
            raise MonitorUnavailable(f"returned {status} for {method} {path}")
        text = response.data.decode("utf-8", "replace")
        if status in (401, 403):
            # a 403 of our monitor has the cause, the evidence and the fix
            cause = _detail(text) if "Fix: " in text else "check SWF_API_TOKEN"
            raise TokenError(status, f"the monitor refused the token ({status}): {cause}")
        if 300 <= status < 500:
            raise MonitorResponseError(
                status,
                f"the monitor returned {status} for {method} {path}: {text[:300]}",
                _detail(text),
            )
        try:
            return json.loads(response.data) if response.data else None
        except ValueError:
            raise MonitorUnavailable(f"the response to {method} {path} is not JSON") from None


def _describe(error: Exception) -> str:
    """The cause in a few words that are the same for each attempt (the texts of urllib3 contain
    object addresses)."""
    if isinstance(error, SSLError):
        return f"TLS: {error}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _detail(text: str) -> str:
    """The cause in an answer of the monitor."""
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text[:300]
