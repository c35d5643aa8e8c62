# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gunicorn's worker with threads, with a time limit for each request that is still on its way in.

gunicorn waits without end for a TLS handshake, for headers and for a body, and a thread waits
along. Here a client has PATIENCE_SECONDS, plus one second for each RATE bytes of a body. When all
threads are taken, clients that have not logged in have only HURRY_SECONDS: whoever sends a whole
request is served, however many connections others hold open.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time

from gunicorn.workers.gthread import ThreadWorker

PATIENCE_SECONDS = 15
HURRY_SECONDS = 1
RATE = 10_000
# one part of an answer, at most 256 kB, to a client that reads slowly
SEND_SECONDS = 60
CHECK_SECONDS = 0.25
# a thread of the index needs far less than the 8 MB that it is given by default
STACK_BYTES = 1 << 20
OPEN_FILES = 4096


class Client:
    """A connection while a thread serves it."""

    def __init__(self, connection):
        self.connection = connection
        self.environ = {}
        self.received, self.spent = 0, 0.0
        #: monotonic time from which the client's own time counts; None while it waits for the index
        self.since = time.monotonic()

    @contextlib.contextmanager
    def sending(self):
        """Let the time count. What earlier parts of the body took counts along, and so do their
        bytes."""
        began = time.monotonic()
        self.since = began - self.spent
        try:
            yield
        finally:
            self.since = None
            self.spent += time.monotonic() - began

    def begin_body(self, environ):
        """The headers are there. A body has a time of its own."""
        self.environ, self.since, self.spent = environ, None, 0.0

    def is_late(self, now, crowded):
        since = self.since
        if since is None:
            return False
        # the application sets REMOTE_USER when it knows the login
        hurry = crowded and "REMOTE_USER" not in self.environ
        return now - since > (HURRY_SECONDS if hurry else PATIENCE_SECONDS) + self.received / RATE

    def give_up(self):
        """Let the thread find the end of what the client sends; it may still answer."""
        self.since = None
        with contextlib.suppress(OSError):
            # SSLSocket's own method drops the encryption
            socket.socket.shutdown(self.connection.sock, socket.SHUT_RD)


class Body:
    """``wsgi.input``, for a client whose time counts while it sends."""

    def __init__(self, stream, client):
        self.stream, self.client = stream, client

    def _from(self, read, *arguments):
        with self.client.sending():
            part = read(*arguments)
        self.client.received += len(part)
        return part

    def read(self, *size):
        return self._from(self.stream.read, *size)

    def readline(self, *size):
        return self._from(self.stream.readline, *size)

    def readlines(self, *hint):
        return list(self)

    def __iter__(self):
        while line := self.readline():
            yield line


class BoundedWorker(ThreadWorker):
    """For ``gunicorn --worker-class index_worker.BoundedWorker``."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.clients, self.own = set(), threading.local()

    def run(self):
        threading.stack_size(STACK_BYTES)
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
        threading.Thread(target=self._watch, name="time limits", daemon=True).start()
        super().run()

    def load_wsgi(self):
        super().load_wsgi()
        application = self.wsgi

        def bounded(environ, start_response):
            client = self.own.client
            client.begin_body(environ)
            environ["wsgi.input"] = Body(environ["wsgi.input"], client)
            return application(environ, start_response)

        self.wsgi = bounded

    def handle(self, conn):
        client = self.own.client = Client(conn)
        self.clients.add(client)
        try:
            return super().handle(conn)
        finally:
            client.since = None
            self.clients.discard(client)

    def handle_request(self, req, conn):
        self.own.client.since = None
        conn.sock.settimeout(SEND_SECONDS)
        return super().handle_request(req, conn)

    def _watch(self):
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
                    ", since all %d threads were taken" % self.cfg.threads if crowded else "",
                )
