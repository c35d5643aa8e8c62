# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use the API: the testbed's own token, and those of the issued logins."""

from typing import Any

from rest_framework import authentication
from rest_framework.request import Request

from swf_monitor.logins import issued


class TokenAuthentication(authentication.TokenAuthentication):
    """A token counts, or no longer counts, from the moment at which the file with the issued
    logins has changed."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        issued.refresh()
        return super().authenticate(request)
