# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may see the pages and the numbers: all clients on the monitor's own host and, where
SWF_MONITOR_LOGIN_REQUIRED is set, no other client without a login."""

import re
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest

#: The header in which a trusted proxy names the user that it has authenticated.
REMOTE_USER = "X-Remote-User"
# No comma: that is how two headers of this name arrive.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._/+-]{0,149}")


class Visitor:
    """A user whom a trusted proxy has named. The database has no record of it."""

    is_authenticated = True
    is_active = True

    def __init__(self, name: str) -> None:
        self._name = name

    def get_username(self) -> str:
        """The name that the proxy gave."""
        return self._name


def is_local(request: HttpRequest) -> bool:
    """Whether the request is from this host, and did not come through a web server."""
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded"))
    return _from_loopback(request) and not forwarded and not _from_trusted_proxy(request)


def client_address(request: HttpRequest) -> str:
    """The address of the client: that which a web server of this host, or a trusted proxy, has
    reported, or else the other end of the connection."""
    peer: str = request.META.get("REMOTE_ADDR", "")
    if _from_loopback(request) or _from_trusted_proxy(request):
        return request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or peer
    return peer


def _from_loopback(request: HttpRequest) -> bool:
    return request.META.get("REMOTE_ADDR") in ("127.0.0.1", "::1")


def _from_trusted_proxy(request: HttpRequest) -> bool:
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")) in settings.TRUSTED_PROXIES
    except ValueError:
        return False


def user_of(request: HttpRequest) -> Any:
    """The user that has logged in, here or at a trusted proxy; None for no user."""
    if not settings.LOGIN_REQUIRED:
        return None
    if _from_trusted_proxy(request) and NAME.fullmatch(request.headers.get(REMOTE_USER, "")):
        return Visitor(request.headers[REMOTE_USER])
    return request.user if request.user.is_authenticated else None


def may_see_all(request: HttpRequest) -> bool:
    """Whether the client may see contents, such as the body of a message, without a token."""
    return is_local(request) or user_of(request) is not None
