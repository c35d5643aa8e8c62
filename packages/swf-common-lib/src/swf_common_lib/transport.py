# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket under the STOMP connection.

It replaces stomp.py's own transport for three reasons: with TLS, 9.0 does not detect that the
server closed the connection, and 8.x reads and writes one TLS object from two threads without a
lock; a send to a server that no longer reads blocks for ever; and the cause of a failed connection
is logged, not raised. `BaseTransport` is stomp.py's interface for custom sockets.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time

from stomp.exception import NotConnectedException
from stomp.transport import BaseTransport

CONNECT_TIMEOUT = 10.0
SEND_TIMEOUT = 30.0
_READ_BYTES = 65536


class SocketTransport(BaseTransport):
    """One connection to one address. It never reconnects: a new object replaces a lost one.

    :param tls: context of the TLS connection, or None for plain TCP
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.vhost: str | None = None
        self._address = (host, port)
        self._tls = tls
        self._socket: socket.socket | None = None
        # Two threads must not use a TLS object at once, and two frames must not be interleaved.
        self._io_lock = threading.Lock()
        self._send_lock = threading.Lock()

    def attempt_connection(self) -> None:
        """Connect, and with TLS do the handshake.

        :raises OSError: it failed (ssl.SSLError is a subclass)
        """
        sock = socket.create_connection(self._address, CONNECT_TIMEOUT)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _enable_keepalive(sock)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_hostname=self._address[0])
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        self.current_host_and_port = self._address

    def receive(self) -> bytes:
        """The next bytes; b"" when the connection is closed."""
        while self.running and self._socket is not None:
            with self._io_lock:
                try:
                    return self._socket.recv(_READ_BYTES)
                except (BlockingIOError, ssl.SSLWantReadError):
                    events = select.POLLIN
                except ssl.SSLWantWriteError:
                    events = select.POLLOUT
                except OSError:
                    return b""
            _wait(self._socket, events, 1.0)
        return b""

    def send(self, encoded_frame: bytes) -> None:
        """Send one frame.

        :raises OSError: the connection is broken, or the server has not read for 30 s
        :raises NotConnectedException: there is no connection
        """
        deadline = time.monotonic() + SEND_TIMEOUT
        left = memoryview(encoded_frame)
        with self._send_lock:
            while left:
                sock = self._socket
                if sock is None or not self.running:
                    raise NotConnectedException()
                with self._io_lock:
                    try:
                        left = left[sock.send(left) :]
                        continue
                    except (BlockingIOError, ssl.SSLWantWriteError):
                        events = select.POLLOUT
                    except ssl.SSLWantReadError:
                        events = select.POLLIN
                if time.monotonic() > deadline:
                    raise TimeoutError("the broker does not read")
                _wait(sock, events, 1.0)

    def disconnect_socket(self) -> None:
        """Close the connection in both directions; the receiving thread then ends and closes the
        socket."""
        self.running = False
        sock = self._socket
        if sock is not None:
            with self._io_lock, contextlib.suppress(OSError):  # the other side closed it first
                sock.shutdown(socket.SHUT_RDWR)

    def cleanup(self) -> None:
        """Close the socket. stomp.py calls it at the end of the receiving thread."""
        with self._io_lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None


def _wait(sock: socket.socket, events: int, seconds: float) -> None:
    poll = select.poll()
    try:
        poll.register(sock, events)
    except ValueError:
        return  # closed in the meantime: the next use of the socket raises the error
    poll.poll(seconds * 1000)


def _enable_keepalive(sock: socket.socket) -> None:
    """Let the kernel detect a lost peer, even if the broker offers no heart-beats."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
