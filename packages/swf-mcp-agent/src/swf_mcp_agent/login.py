# SPDX-License-Identifier: GPL-3.0-or-later
"""Requires the token of the monitor's REST API in every request."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_REFUSAL = (
    b"401 Unauthorized: send the header Authorization: Bearer TOKEN, "
    b"with the token of the monitor's REST API.\n"
)


def with_login(app: App, token: str) -> App:
    """An ASGI application that forwards requests with the token, and responds with 401 to all
    others.

    :param app: the application
    :param token: the token in the header `Authorization: Bearer TOKEN`
    """
    expected = token.encode()

    async def guarded(scope: Message, receive: Receive, send: Send) -> None:
        # "lifespan" events are from the server itself, which starts and stops the application
        if scope["type"] == "lifespan" or hmac.compare_digest(_sent(scope), expected):
            await app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": _headers()})
            await send({"type": "http.response.body", "body": _REFUSAL})
        else:
            await send({"type": "websocket.close", "code": 1008})

    return guarded


def _sent(scope: Message) -> bytes:
    """The token of a request; empty if there is none, or more than one."""
    values: list[bytes] = [
        value for name, value in scope.get("headers", ()) if name == b"authorization"
    ]
    scheme, _blank, token = (values[0] if len(values) == 1 else b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _headers() -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(_REFUSAL)).encode()),
        (b"www-authenticate", b'Bearer realm="swf-testbed"'),
    ]
