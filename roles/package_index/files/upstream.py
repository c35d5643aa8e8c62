# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the upstream index: its login, the proxy and the certificates that the host's pip is set up
for."""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30


class UpstreamUnavailable(Exception):
    """The upstream index does not answer, or not with what was asked for."""


class UpstreamNotFound(Exception):
    """The upstream index does not have it."""


def origin(url):
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; the login goes along only where it was meant for."""

    def __init__(self, upstream):
        self.upstream = upstream

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None:
            self.upstream.authorize(new)
        return new


class Upstream:
    """An index and how to get at it.

    :ivar settings: what the module pip_upstream wrote: ``url``, and where there is one
        ``username``, ``password``, ``proxies`` (urllib's, with ``no``) and ``ca_file``.
    """

    def __init__(self, settings):
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

    def authorize(self, request):
        """Add the login to a request for the index itself. The files may be on another host, which
        must not see it."""
        if self.settings.get("username") and origin(request.full_url) == origin(self.url):
            login = "%s:%s" % (self.settings["username"], self.settings.get("password") or "")
            # urllib does not hand an unredirected header on to wherever a redirect leads
            request.add_unredirected_header(
                "Authorization", "Basic " + base64.b64encode(login.encode()).decode()
            )

    def open(self, url, headers=()):
        """The response to a GET, or None if the page did not change (HTTP 304).

        :raises UpstreamNotFound: HTTP 404 or 410.
        :raises UpstreamUnavailable: anything else that is in the way. The text has no login in it.
        """
        request = urllib.request.Request(
            url, headers={"User-Agent": "swf-testbed-index", **dict(headers)}
        )
        self.authorize(request)
        host = urlsplit(url).hostname or ""
        direct = urllib.request.proxy_bypass_environment(host, self.proxies)
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
            raise UpstreamUnavailable("%s answered HTTP %d" % (host, error.code)) from None
        except (OSError, ValueError) as error:
            raise UpstreamUnavailable("%s: %s" % (host, getattr(error, "reason", error))) from None
