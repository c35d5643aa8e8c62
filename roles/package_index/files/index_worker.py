# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gunicorn's worker with threads, with a time limit for each incoming request.

gunicorn waits forever for a TLS handshake, headers and a body, and blocks a thread meanwhile. Here
a client has PATIENCE_SECONDS, plus one second for each RATE bytes of a body. If all threads are
busy, clients without a login have only HURRY_SECONDS: complete requests are served, however many
other connections are open.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

PATIENCE_SECONDS = 15
HURRY_SECONDS = 1
RATE = 10_000
# for one part of a response, at most 256 kB, to a slow client
SEND_SECONDS = 60
CHECK_SECONDS = 0.25
# a thread of the index needs far less than the default of 8 MB
STACK_BYTES = 1 << 20
OPEN_FILES = 4096


class Client:
    """A connection while a thread serves it."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.environ: dict[str, Any] = {}
        self.received, self.spent = 0, 0.0
        #: monotonic start of the client's time limit; None while it waits for the index
        self.since: float | None = time.monotonic()

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Count the time. Earlier parts of the body count with their time and bytes."""
        began = time.monotonic()
        self.since = began - self.spent
        try:
            yield
        finally:
            self.since = None
            self.spent += time.monotonic() - began

    def begin_body(self, environ: dict[str, Any]) -> None:
        """The headers are complete. The body has a separate time limit."""
        self.environ, self.since, self.spent = environ, None, 0.0

    def is_late(self, now: float, crowded: bool) -> bool:
        since = self.since
        if since is None:
            return False
        # the application sets REMOTE_USER after the login
        hurry = crowded and "REMOTE_USER" not in self.environ
        return now - since > (HURRY_SECONDS if hurry else PATIENCE_SECONDS) + self.received / RATE

    def give_up(self) -> None:
        """End the input of the connection; the thread can still respond."""
        self.since = None
        with contextlib.suppress(OSError):
            # SSLSocket's own method drops the encryption
            socket.socket.shutdown(self.connection.sock, socket.SHUT_RD)


class Body:
    """``wsgi.input``, with the time limit of the client."""

    def __init__(self, stream: Any, client: Client) -> None:
        self.stream, self.client = stream, client

    def _from(self, read: Callable[..., bytes], *arguments: int) -> bytes:
        with self.client.sending():
            part = read(*arguments)
        self.client.received += len(part)
        return part

    def read(self, *size: int) -> bytes:
        return self._from(self.stream.read, *size)

    def readline(self, *size: int) -> bytes:
        return self._from(self.stream.readline, *size)

    def readlines(self, *_hint: int) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line


class BoundedWorker(ThreadWorker):
    """For ``gunicorn --worker-class index_worker.BoundedWorker``."""

    wsgi: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clients: set[Client] = set()
        self.own = threading.local()

    def run(self) -> None:
        threading.stack_size(STACK_BYTES)
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
        threading.Thread(target=self._watch, name="time limits", daemon=True).start()
        super().run()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        application = self.wsgi

        def bounded(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            client = self.own.client
            client.begin_body(environ)
            environ["wsgi.input"] = Body(environ["wsgi.input"], client)
            return application(environ, start_response)

        self.wsgi = bounded

    def handle(self, conn: Any) -> Any:
        client = self.own.client = Client(conn)
        self.clients.add(client)
        try:
            return super().handle(conn)
        finally:
            client.since = None
            self.clients.discard(client)

    def handle_request(self, req: Any, conn: Any) -> Any:
        self.own.client.since = None
        conn.sock.settimeout(SEND_SECONDS)
        return super().handle_request(req, conn)

    def _watch(self) -> None:
        while True:
            time.sleep(CHECK_SECONDS)
            now, clients = time.monotonic(), list(self.clients)
            crowded = len(clients) >= self.cfg.threads
            late = [client for client in clients if client.is_late(now, crowded)]
            for client in late:
                client.give_up()
            if late:
                self.log.warning(
                    "closed %d connections that did not send a request in time%s",
                    len(late),
                    ", because all %d threads were busy" % self.cfg.threads if crowded else "",
                )
