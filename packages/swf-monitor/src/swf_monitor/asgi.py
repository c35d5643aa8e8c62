# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application: Django, with a fixed number of threads that keep their database
connections."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.core.handlers.asgi import ASGIHandler

# Requests in work at a time, and so connections to the database. More than this many wait for their
# turn.
THREADS = 12

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class PooledHandler(ASGIHandler):
    """Django's handler makes a thread for each request, and with it a connection: half of all the
    work of a request. This one lends each request a thread that stays."""

    def __init__(self) -> None:
        super().__init__()
        # The thread that was used last comes first, so that few have to be there while little
        # happens.
        self._threads: asyncio.LifoQueue[ThreadSensitiveContext] = asyncio.LifoQueue()
        for _ in range(THREADS):
            self._threads.put_nowait(ThreadSensitiveContext())

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serves HTTP; a WebSocket is refused."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        thread = await self._threads.get()
        try:
            # Never left again: to leave the context is to end its thread.
            await thread.__aenter__()  # type: ignore[no-untyped-call]
            await self.handle(scope, receive, send)
        finally:
            self._threads.put_nowait(thread)


application = PooledHandler()
