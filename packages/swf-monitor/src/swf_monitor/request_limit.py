# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit on the size of a request, enforced while the body arrives: daphne would write a body of
any size to the disk."""

from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest

# The requests of agents have a few hundred bytes.
MAX_BODY_BYTES = 1024 * 1024
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class LimitedRequest(WebRequest):
    """A request that is refused as soon as it turns out to be too large."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._received = 0
        self._refused = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """Called by Twisted with the length of the header; None for a body in chunks."""
        if length is not None and length > MAX_BODY_BYTES:
            self._refuse()
            length = 0
        super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """Called by Twisted with a part of the body."""
        self._received += len(data)
        if self._received > MAX_BODY_BYTES:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def process(self) -> Any:
        """Called by Twisted with the whole request. A refused request may have been in flight."""
        return None if self._refused else super().process()

    def _refuse(self) -> None:
        if not self._refused:
            self._refused = True
            self.channel.transport.write(TOO_LARGE)
            self.channel.loseConnection()


class LimitedFactory(HTTPFactory):
    """daphne's factory, with limited requests."""

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        """Called by Twisted for a new connection."""
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = LimitedRequest
        return protocol
