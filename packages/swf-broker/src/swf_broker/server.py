# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker's process: the listening socket, the store, and a clean shutdown."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal

from swf_broker import __version__
from swf_broker.connection import StompConnection
from swf_broker.logins import Login, Logins
from swf_broker.queues import Switchboard
from swf_broker.settings import BrokerSettings, ConfigurationError
from swf_broker.store import MessageStore
from swf_broker.tls import HANDSHAKE_TIMEOUT, Certificate

log = logging.getLogger(__name__)

# Time limit for the shutdown, in which the last messages are written and the last frames are sent.
SHUTDOWN_SECONDS = 3.0
TICK_SECONDS = 10.0
# A client whose login was removed is disconnected within this time.
LOGINS_SECONDS = 1.0


class Broker:
    """The state that all connections of the broker share."""

    version = __version__

    def __init__(self, settings: BrokerSettings) -> None:
        self.settings = settings
        self.connections: set[StompConnection] = set()
        self.logins = (
            Logins(Login(settings.user, settings.password), settings.logins_file)
            if settings.user is not None and settings.password is not None
            else None
        )
        self._certificate = Certificate(*settings.tls) if settings.tls else None
        self._store = MessageStore(settings.data_dir) if settings.data_dir else None
        self.switchboard = Switchboard(
            self._store, settings.routing, settings.max_queued_bytes, settings.unread
        )

    async def serve(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGQUIT. Raises ConfigurationError if it cannot listen.

        With TLS, SIGHUP reads the certificate again.
        """
        settings = self.settings
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(name, stop.set)
        if self._certificate:
            loop.add_signal_handler(signal.SIGHUP, self._certificate.reload)
        server = await self._listen(loop)
        writing = asyncio.create_task(self._store.run()) if self._store else None
        ticking = [asyncio.create_task(self._tick()), asyncio.create_task(self._follow_logins())]
        host, port, *_ = server.sockets[0].getsockname()
        log.info(
            "listening",
            extra={
                "host": host,
                "port": port,
                "login": settings.password is not None,
                "tls": settings.tls is not None,
                "data_dir": str(settings.data_dir) if settings.data_dir else None,
                "waiting": self.switchboard.waiting,
            },
        )
        await stop.wait()
        log.info(
            "stopping",
            extra={"clients": len(self.connections), "waiting": self.switchboard.waiting},
        )
        server.close()
        for task in ticking:
            task.cancel()
        self.switchboard.dropped.write(now=True)
        if self._store and writing:
            # First the disk: the receipts of written messages still reach their senders.
            self._store.close()
            await asyncio.wait([writing], timeout=SHUTDOWN_SECONDS)
            if not writing.done():
                log.error("cannot write all messages")
                os._exit(1)
        for connection in list(self.connections):
            connection.close()
        deadline = loop.time() + 1
        while self.connections and loop.time() < deadline:
            await asyncio.sleep(0.02)
        log.info("stopped")

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
        settings = self.settings
        tls = self._certificate.context if self._certificate else None
        try:
            return await loop.create_server(
                lambda: StompConnection(self),
                settings.host,
                settings.port,
                backlog=128,
                reuse_address=True,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT if tls else None,
            )
        except OSError as error:
            raise ConfigurationError(_why_not_listening(error, settings)) from error

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.switchboard.tick()

    async def _follow_logins(self) -> None:
        """Disconnect the clients whose login was removed, or has another password or namespace."""
        while self.logins and self.settings.logins_file:
            await asyncio.sleep(LOGINS_SECONDS)
            self.logins.refresh()
            for connection in list(self.connections):
                if connection.login and connection.login not in self.logins:
                    connection.refuse("the login is no longer valid")


def _why_not_listening(error: OSError, settings: BrokerSettings) -> str:
    where = f"{settings.host}:{settings.port}"
    # asyncio replaces the text of the error, but not the number
    if error.errno == errno.EADDRINUSE:
        return (
            f"cannot listen on {where}: another program uses this port; stop it, or set "
            "SWF_BROKER_PORT"
        )
    return f"cannot listen on {where}: {os.strerror(error.errno) if error.errno else error}"
