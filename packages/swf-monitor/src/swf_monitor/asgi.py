# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application: Django, for as many requests at a time as the database is made for."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

# Each request in work has a thread and a connection to the database. More than this many wait for their turn.
REQUESTS_AT_A_TIME = 12

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

_django = get_asgi_application()
_turn = asyncio.Semaphore(REQUESTS_AT_A_TIME)


async def application(scope: Event, receive: Receive, send: Send) -> None:
    """Serves HTTP; a WebSocket is refused."""
    if scope["type"] == "http":
        async with _turn:
            await _django(scope, receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close"})
