# SPDX-License-Identifier: GPL-3.0-or-later
"""A STOMP client on a socket, which can also violate the protocol."""

from __future__ import annotations

import socket
import ssl
import time

from swf_broker.frames import Frame, FrameParser, encode


class RawClient:
    """Sends frames or bytes, and reads frames; connects as `version` unless that is empty."""

    def __init__(
        self,
        port: int,
        version: str = "1.2",
        tls: ssl.SSLContext | None = None,
        server_name: str | None = "127.0.0.1",
        **headers: str,
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        self.parser = FrameParser()
        self.version = version
        if version:
            self.send("CONNECT", {"accept-version": version, "host": "anything", **headers})
            self.connected = self.read("CONNECTED")
            self.parser.version = version

    def send(self, command: str, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.socket.sendall(encode(command, headers or {}, body, self.version or "1.0"))

    def next(self, timeout: float = 10) -> Frame | None:
        """The next frame; None if the broker closed the connection. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while (frame := self.parser.next_frame()) is None:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self.parser.feed(data)
        return frame

    def read(self, command: str) -> Frame:
        frame = self.next()
        assert frame, f"closed, and no {command} came"
        assert frame.command == command, frame
        return frame

    def message(self) -> str:
        return self.read("MESSAGE").body.decode()

    def nothing_comes(self, seconds: float = 0.3) -> bool:
        try:
            return self.next(seconds) is None
        except TimeoutError:
            return True

    def receipt(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Send messages, and wait until the broker has confirmed them."""
        self.send(command, {**headers, "receipt": "now"}, body)
        assert self.read("RECEIPT").headers["receipt-id"] == "now"

    def put(self, queue: str, *bodies: str, **headers: str) -> None:
        for body in bodies:
            self.receipt("SEND", {"destination": queue, **headers}, body.encode())

    def subscribe(self, destination: str, ack: str = "client-individual", **headers: str) -> None:
        self.send("SUBSCRIBE", {"id": "s", "destination": destination, "ack": ack, **headers})

    def refused_because(self) -> str:
        """The text of the ERROR frame; the broker must close after it."""
        error = self.read("ERROR")
        assert self.next() is None
        return error.headers["message"]

    def close(self) -> None:
        self.socket.close()
