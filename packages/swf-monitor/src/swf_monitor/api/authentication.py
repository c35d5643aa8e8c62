# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use the API: the testbed's own token, and those of the issued logins."""

from typing import Any

from rest_framework import authentication
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from swf_monitor.access import user_of
from swf_monitor.logins import issued


class TokenAuthentication(authentication.TokenAuthentication):
    """A token counts, or no longer counts, from the moment at which the file with the issued
    logins has changed."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        issued.refresh()
        return super().authenticate(request)


class VisitorAuthentication(authentication.BaseAuthentication):
    """A user who has logged in to the pages reads the REST API, too. A change needs a token, so the
    page of another server cannot make a browser send it."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        """The user of a request that changes nothing."""
        # That of REST framework would ask this class again.
        found = user_of(request._request) if request.method in SAFE_METHODS else None
        return (found, None) if found else None
