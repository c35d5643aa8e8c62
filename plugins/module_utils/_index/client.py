# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request to an index, with its errors as text. Credentials never follow a redirect to another
origin."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.page import ACCEPT

REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5
# a page with thousands of files is a few MB
LONGEST_PAGE = 32_000_000
# OpenSSL's verification error codes
EXPIRED, NOT_YET_VALID, HOSTNAME, ADDRESS = 10, 9, 62, 64
NOT_TLS = "WRONG_VERSION_NUMBER HTTP_REQUEST UNKNOWN_PROTOCOL RECORD_LAYER_FAILURE".split()


@dataclass
class Answer:
    """An answer. If there is none, ``verdict`` and ``evidence`` give the reason, and ``status`` is
    0.

    ``elsewhere`` is the address of a redirect that was not followed.
    """

    url: str
    status: int = 0
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    elsewhere: str | None = None
    verdict: str | None = None
    evidence: str = ""


class CaCertificateError(Exception):
    """The CA certificates of an index cannot be read."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to :class:`Client`."""

    def http_error_302(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any
    ) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def place(url: str) -> str:
    """An address without credentials, query and fragment, for messages."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return "%s://%s%s" % (parts.scheme, host, parts.path)


def is_loopback(host: str | None) -> bool:
    """Whether an address or name is a loopback one. For a proxy it would mean the proxy itself."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return (host or "").lower().rstrip(".") == "localhost"


class DirectLoopback(urllib.request.ProxyHandler):
    """The proxies of the environment, except for loopback addresses, whatever no_proxy contains."""

    def proxy_open(self, req: urllib.request.Request, proxy: str, type: str) -> Any:  # pylint: disable=redefined-builtin
        direct = is_loopback(urlsplit(req.full_url).hostname)
        return None if direct else super().proxy_open(req, proxy, type)


def proxy_of(url: str) -> str | None:
    """``host:port`` of the proxy that the environment sets for the address, or None."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if (
        not proxy
        or is_loopback(parts.hostname)
        or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2])
    ):
        return None
    return (proxy.rpartition("://")[2]).rpartition("@")[2].rstrip("/")


class Client:
    """Sends requests to one index.

    :param ca_cert: path of the CA certificates to trust instead of the system's.
    :param timeout: seconds without a byte; a whole answer may take twice as long.
    :raises CaCertificateError: the CA certificates cannot be read.
    """

    def __init__(self, ca_cert: str | None = None, timeout: float = 10) -> None:
        try:
            context = ssl.create_default_context(cafile=ca_cert)
        except (OSError, ValueError) as error:
            raise CaCertificateError(
                "the CA certificate %s cannot be used: %s"
                % (ca_cert, getattr(error, "strerror", None) or error)
            ) from error
        self._opener = urllib.request.build_opener(
            NoRedirect, DirectLoopback(), urllib.request.HTTPSHandler(context=context)
        )
        self._timeout = timeout

    def get(
        self,
        url: str,
        login: tuple[str, str] | None = None,
        longest: int = LONGEST_PAGE,
        follow: bool = False,
    ) -> Answer:
        """The :class:`Answer` to a GET.

        :param login: (username, token), sent only to this scheme, host and port.
        :param longest: bytes of the body to read.
        :param follow: follow redirects to other origins, without the login.
        """
        for _count in range(MOST_REDIRECTS):
            answer = once(self._opener, url, login, self._timeout, longest)
            if answer.status not in REDIRECTS:
                return answer
            try:
                target = urljoin(url, answer.headers.get("location") or "")
                moved = origin(target) != origin(url)
            except ValueError:
                answer.verdict, answer.evidence = (
                    "wrong_url",
                    "%s redirects to an invalid address" % place(url),
                )
                return answer
            if moved:
                if not follow or not target.startswith(("http://", "https://")):
                    answer.elsewhere = target
                    return answer
                login = None
            url = target
        answer.verdict, answer.evidence = ("wrong_url", "%s redirects without end" % place(url))
        return answer


def once(
    opener: urllib.request.OpenerDirector,
    url: str,
    login: tuple[str, str] | None,
    timeout: float,
    longest: int,
) -> Answer:
    try:
        request = urllib.request.Request(
            url, headers={"Accept": ACCEPT, "User-Agent": "bnlnpps.swf_testbed pip_index_info"}
        )
        if login:
            request.add_unredirected_header(
                "Authorization", "Basic " + base64.b64encode(("%s:%s" % login).encode()).decode()
            )
        started = time.monotonic()
        try:
            response = opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(
                url, response.status or 0, headers, read(response, longest, started + 2 * timeout)
            )
    except (OSError, http.client.HTTPException, ValueError) as error:
        verdict, evidence = why(error, url)
        return Answer(url, verdict=verdict, evidence=evidence)


def read(response: Any, longest: int, deadline: float) -> bytes:
    """The body, or its beginning. The deadline limits servers that send one byte at a time."""
    chunks, size = [], 0
    while size < longest:
        chunk = response.read1(min(65536, longest - size))
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
        if time.monotonic() > deadline:
            raise socket.timeout("timed out while reading")
    return b"".join(chunks)


def why(error: Exception, url: str) -> tuple[str, str]:
    """(verdict, evidence) for an exception."""
    reason = getattr(error, "reason", None)
    error = reason if isinstance(reason, Exception) else error
    host = urlsplit(url).hostname
    proxy = proxy_of(url)
    text = "%s" % (getattr(error, "strerror", None) or error or type(error).__name__)
    if isinstance(error, ssl.SSLCertVerificationError):
        return why_untrusted(error, host)
    if isinstance(error, ssl.SSLError):
        if error.reason in NOT_TLS:
            return (
                "wrong_url",
                "the url is https, and the server at %s does not speak TLS" % place(url),
            )
        return "tls_failed", "%s: %s" % (place(url), text)
    if proxy and (
        isinstance(error, (socket.gaierror, ConnectionRefusedError, socket.timeout))
        or "Tunnel connection" in text
    ):
        return "proxy", "the proxy %s of this host's environment answered: %s" % (proxy, text)
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "dns", "%s: %s" % (host, text)
    if isinstance(error, (socket.timeout, TimeoutError)):
        return "timeout", "%s did not answer in time (%s)" % (place(url), text)
    if isinstance(error, http.client.IncompleteRead):
        return "server_error", "%s closed the connection in the middle of its answer" % place(url)
    if isinstance(error, (http.client.HTTPException, ValueError)):
        return "wrong_url", "the server at %s does not speak HTTP (%s)" % (
            place(url),
            type(error).__name__,
        )
    return "refused", "%s: %s" % (place(url), text)


def why_untrusted(error: ssl.SSLCertVerificationError, host: str | None) -> tuple[str, str]:
    text = error.verify_message or str(error)
    if error.verify_code in (EXPIRED, NOT_YET_VALID):
        return "tls_expired", "%s: %s" % (host, text)
    if error.verify_code in (HOSTNAME, ADDRESS):
        return "tls_hostname", text
    return "tls_unknown_ca", "%s: %s" % (host, text)
