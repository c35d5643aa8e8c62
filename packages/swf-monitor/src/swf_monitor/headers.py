# SPDX-License-Identifier: GPL-3.0-or-later
"""Response headers that Django has no setting for."""

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

NOTHING_ALLOWED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

Answer = Callable[[HttpRequest], HttpResponse]
AsyncAnswer = Callable[[HttpRequest], Awaitable[HttpResponse]]


def _harden(response: HttpResponse) -> HttpResponse:
    """Set the headers that a view did not set: nothing may be loaded or cached."""
    response.headers.setdefault("Content-Security-Policy", NOTHING_ALLOWED)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@sync_and_async_middleware
def strict_headers(get_response: Answer | AsyncAnswer) -> Answer | AsyncAnswer:
    """Middleware for synchronous and asynchronous requests, so that no request changes threads."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            return _harden(await cast(AsyncAnswer, get_response)(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        return _harden(cast(Answer, get_response)(request))

    return answer
