# SPDX-License-Identifier: GPL-3.0-or-later
"""One STOMP connection, from CONNECT to its end."""

from __future__ import annotations

import contextlib
import itertools
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import stomp
from stomp.exception import StompException
from stomp.protocol import Protocol12
from stomp.utils import Frame

from swf_common_lib.settings import BrokerSettings
from swf_common_lib.transport import CONNECT_TIMEOUT, SocketTransport

logger = logging.getLogger(__name__)

CLIENT_INDIVIDUAL = "client-individual"
QUEUE = "/queue/"
# Artemis without prefixes takes an address for one whose messages go to all readers. These headers
# make it a queue; other brokers ignore them.
ANYCAST = "ANYCAST"


class BrokerError(Exception):
    """The connection to the broker failed or ended. The text is the cause."""


class Session(stomp.ConnectionListener):
    """A connection that is usable until `closed` is set, and is then discarded.

    :param settings: the address of the broker
    :param tls: TLS context, or None
    :param deliver: called with (session, frame) in the receiving thread; it must not block
    """

    def __init__(
        self,
        settings: BrokerSettings,
        tls: ssl.SSLContext | None,
        deliver: Callable[[Session, Frame], None],
    ) -> None:
        self.closed = threading.Event()
        self.cause = ""
        self._deliver = deliver
        self._settings = settings
        self._changed = threading.Condition()
        self._connected = False
        self._receipts: set[str] = set()
        # {address: id of its subscription}
        self._subscriptions: dict[str, str] = {}
        self._numbers = itertools.count()
        self._transport = SocketTransport(settings.host, settings.port, tls)
        self._transport.set_listener("session", self)
        beat = settings.heartbeat_ms
        self._protocol = Protocol12(self._transport, heartbeats=(beat, beat))

    def open(self) -> None:
        """Connect and log in.

        :raises BrokerError: it failed, or took longer than 10 s
        """
        try:
            self._transport.start()
            self._protocol.connect(
                self._settings.user or None,
                self._settings.password or None,
                with_connect_command=True,
            )
        except (OSError, StompException) as error:
            self.drop(_describe(error))
            raise BrokerError(self.cause) from None
        deadline = time.monotonic() + CONNECT_TIMEOUT
        with self._changed:
            while not self._connected and not self.closed.is_set():
                if not self._changed.wait(deadline - time.monotonic()):
                    break
        if not self._connected:
            self.drop("no answer to CONNECT")
            raise BrokerError(self.cause)

    def subscribe(self, destinations: Iterable[str], prefetch: int) -> None:
        """Have subscriptions to these addresses and no others, with an acknowledgement for each
        message.

        :param prefetch: how many messages ActiveMQ may send ahead of their acknowledgement
        :raises BrokerError: the connection ended
        """
        wanted = list(destinations)
        for destination in [name for name in self._subscriptions if name not in wanted]:
            self._do(self._protocol.unsubscribe, self._subscriptions.pop(destination))
        for destination in [name for name in wanted if name not in self._subscriptions]:
            number = self._subscriptions[destination] = str(next(self._numbers))
            headers = {"activemq.prefetchSize": str(prefetch)}
            if destination.startswith(QUEUE):
                headers["subscription-type"] = ANYCAST
            self._do(
                self._protocol.subscribe,
                destination,
                id=number,
                ack=CLIENT_INDIVIDUAL,
                headers=headers,
            )

    def send(self, destination: str, body: str, receipt: str) -> None:
        """Send a persistent message and ask for a receipt.

        :raises BrokerError: the connection ended
        """
        headers = {"persistent": "true", "receipt": receipt}
        if destination.startswith(QUEUE):
            headers["destination-type"] = ANYCAST
        self._do(
            self._protocol.send, destination, body, content_type="application/json", headers=headers
        )

    def ack(self, frame: Frame) -> None:
        """Acknowledge a message.

        :raises BrokerError: the connection ended; the broker will deliver the message again
        """
        # A broker that negotiated a version before 1.2 gives no `ack` header.
        self._do(self._protocol.ack, frame.headers.get("ack") or frame.headers["message-id"])

    def confirmed(self, receipts: Iterable[str], timeout: float) -> set[str]:
        """Wait until all receipts arrived, the connection ended, or the time is over.

        :param timeout: seconds
        :returns: the receipts that arrived
        """
        wanted = set(receipts)
        deadline = time.monotonic() + timeout
        with self._changed:
            while not wanted <= self._receipts and not self.closed.is_set():
                if not self._changed.wait(deadline - time.monotonic()):
                    break
            arrived = wanted & self._receipts
            self._receipts -= arrived
        return arrived

    def close(self, timeout: float) -> None:
        """Disconnect within `timeout` seconds, after the broker has received each
        acknowledgement."""
        # if the connection ended before, unacknowledged messages are delivered again
        with contextlib.suppress(BrokerError):
            self._do(self._protocol.send_frame, "DISCONNECT", {"receipt": "disconnect"})
            self.confirmed(["disconnect"], timeout)
        self.drop("closed")

    def drop(self, cause: str) -> None:
        """Close the connection at once."""
        self._end(cause)
        self._transport.disconnect_socket()

    def _do(self, action: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        try:
            action(*args, **kwargs)
        except (OSError, StompException) as error:
            # A part of a frame may have been sent: no other frame can follow it.
            self.drop(_describe(error))
            raise BrokerError(self.cause) from None

    def _end(self, cause: str) -> None:
        with self._changed:
            self.cause = self.cause or cause
            self.closed.set()
            self._changed.notify_all()

    # stomp.py calls these in its receiving thread.

    def on_connected(self, frame: Frame) -> None:
        """The broker accepted the login."""
        with self._changed:
            self._connected = True
            self._changed.notify_all()

    def on_message(self, frame: Frame) -> None:
        """A message came."""
        self._deliver(self, frame)

    def on_receipt(self, frame: Frame) -> None:
        """The broker confirmed a frame."""
        with self._changed:
            self._receipts.add(frame.headers["receipt-id"])
            self._changed.notify_all()

    def on_error(self, frame: Frame) -> None:
        """The broker refused a frame; it closes the connection after that."""
        text = frame.headers.get("message") or str(frame.body or "").strip()
        self._end(f"refused: {text[:200]}")
        self._transport.disconnect_socket()

    def on_heartbeat_timeout(self) -> None:
        """Nothing was received for 1.5 heart-beats."""
        self._end("no heart-beat")

    def on_disconnected(self) -> None:
        """The connection ended."""
        self._end("connection closed")


def _describe(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError) and not error.strerror:
        return str(error) or "timed out"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return "connection closed"
