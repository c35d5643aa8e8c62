# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application: Django with a fixed number of threads, each with a persistent database
connection."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.core.handlers.asgi import ASGIHandler

# Concurrent requests, and so connections to the database. Further requests wait.
THREADS = 12

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class PooledHandler(ASGIHandler):
    """Django's handler creates a thread and a database connection for each request, which is half
    of the cost of a request. This one assigns each request a thread of a pool."""

    def __init__(self) -> None:
        super().__init__()
        # The most recently used thread comes first, so few threads start while the load is low.
        self._threads: asyncio.LifoQueue[ThreadSensitiveContext] = asyncio.LifoQueue()
        for _ in range(THREADS):
            self._threads.put_nowait(ThreadSensitiveContext())

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve HTTP; refuse a WebSocket."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        thread = await self._threads.get()
        try:
            # Never exited: that would end the thread.
            await thread.__aenter__()  # type: ignore[no-untyped-call]
            await self.handle(scope, receive, send)
        finally:
            self._threads.put_nowait(thread)


application = PooledHandler()
