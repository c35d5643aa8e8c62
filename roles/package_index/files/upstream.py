# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the upstream index, with the login, proxies and certificates of the host's pip
configuration."""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30


class UpstreamUnavailable(Exception):
    """The upstream index does not answer, or its answer is invalid."""


class UpstreamNotFound(Exception):
    """The upstream index does not have it."""


def origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and sends the login only to the upstream itself."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    def redirect_request(self, *arguments: Any) -> urllib.request.Request | None:
        new = super().redirect_request(*arguments)
        if new is not None:
            self.upstream.authorize(new)
        return new


class Upstream:
    """An index, with the settings for its requests.

    :ivar settings: written by the module pip_upstream: ``url``, and optionally ``username``,
        ``password``, ``proxies`` (urllib's, with ``no``) and ``ca_file``.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.url = settings["url"].rstrip("/") + "/"
        self.proxies = settings.get("proxies") or {}
        context = ssl.create_default_context(cafile=settings.get("ca_file"))
        self._proxied, self._direct = (
            urllib.request.build_opener(
                urllib.request.ProxyHandler(proxies),
                urllib.request.HTTPSHandler(context=context),
                _Redirects(self),
            )
            for proxies in ({key: value for key, value in self.proxies.items() if key != "no"}, {})
        )

    def authorize(self, request: urllib.request.Request) -> None:
        """Add the login to a request for the index itself. Files may be on another host, which must
        not get it."""
        if self.settings.get("username") and origin(request.full_url) == origin(self.url):
            login = "%s:%s" % (self.settings["username"], self.settings.get("password") or "")
            # urllib does not send an unredirected header after a redirect
            request.add_unredirected_header(
                "Authorization", "Basic " + base64.b64encode(login.encode()).decode()
            )

    def open(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """The response to a GET, or None if the page did not change (HTTP 304).

        :raises UpstreamNotFound: HTTP 404 or 410.
        :raises UpstreamUnavailable: any other failure. The text does not contain the login.
        """
        request = urllib.request.Request(
            url, headers={"User-Agent": "swf-testbed-index", **(headers or {})}
        )
        self.authorize(request)
        host = urlsplit(url).hostname or ""
        direct = urllib.request.proxy_bypass_environment(host, self.proxies)  # type: ignore[attr-defined]
        try:
            return (self._direct if direct else self._proxied).open(
                request, timeout=TIMEOUT_SECONDS
            )
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 304:
                return None
            if error.code in (404, 410):
                raise UpstreamNotFound(url) from None
            raise UpstreamUnavailable("%s returned HTTP %d" % (host, error.code)) from None
        except (OSError, ValueError) as error:
            raise UpstreamUnavailable("%s: %s" % (host, getattr(error, "reason", error))) from None
