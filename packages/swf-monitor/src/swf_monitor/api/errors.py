# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the server as JSON, with a status that makes the client retry."""

import logging
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from swf_monitor.database import REFUSED, UNAVAILABLE, explain
from swf_monitor.pages.answer import Page, render, response

logger = logging.getLogger(__name__)


def answer(exc: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's exception handler: a database that does not answer is a 503, not a 500."""
    if isinstance(exc, UNAVAILABLE) and not isinstance(exc, REFUSED):
        logger.error("the database does not answer", extra={"cause": explain(exc)})
        return Response(
            {"detail": "The database does not answer. Try again."},
            status=status.HTTP_503_SERVICE_UNAVAILABLE,
            headers={"Retry-After": "5"},
        )
    return exception_handler(exc, context)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    if request.path_info.startswith("/api/"):
        return JsonResponse(
            {"detail": "There is no such URL. Each URL ends in a slash."}, status=404
        )
    missing = {"missing": "There is no such page."}
    return response(
        request, render(Page("swf_monitor/missing.html", "✕ Not found", "", missing, status=404))
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500. The cause is in the log."""
    return JsonResponse(
        {"detail": "Internal error. The cause is in the monitor's log."}, status=500
    )
