# SPDX-License-Identifier: GPL-3.0-or-later
"""One client of the broker: its frames, login, subscriptions and heart-beats."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from swf_broker.frames import Frame, FrameParser, ProtocolError, encode, encode_headers
from swf_broker.logins import Login
from swf_broker.messages import Message
from swf_broker.queues import DEFAULT_PREFETCH, Subscription, Switchboard
from swf_broker.routing import checked_destination
from swf_broker.selector import Selector, SelectorError

if TYPE_CHECKING:
    from swf_broker.server import Broker

log = logging.getLogger(__name__)

VERSIONS = ("1.2", "1.1", "1.0")  # best first
CONNECT_TIMEOUT = 10.0  # seconds a client has to log in
SMALLEST_HEARTBEAT_MS = 1000  # the shortest interval that the broker offers and requests
# A client counts as dead after this number of intervals without a byte.
HEARTBEAT_TOLERANCE = 2.5
# Queues pause while this much data is unsent. A client that lets topics and receipts accumulate up
# to the second limit is disconnected.
HIGH_WATER_BYTES = 256 * 1024
UNREAD_LIMIT_BYTES = 64 * 1024 * 1024
CLOSE_TIMEOUT = 10.0  # seconds a client has to receive the last frames
_ACK_MODES = ("auto", "client", "client-individual")


class StompConnection(asyncio.Protocol):
    """The connection of a client."""

    _transport: asyncio.Transport

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._switchboard: Switchboard = broker.switchboard
        self._loop = asyncio.get_running_loop()
        self._parser = FrameParser()
        self.login: Login | None = None  # None without passwords, and until the client is logged in
        self._version = ""  # empty until the client is logged in
        self._closing = False
        self._paused = False
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._subscriptions: dict[str, Subscription] = {}
        self._transactions: dict[str, list[Frame]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._last_read = self._last_write = self._loop.time()
        self._handlers: dict[str, Callable[[Frame], None]] = {
            "SEND": self._in_transaction(self._send),
            "ACK": self._in_transaction(self._settle),
            "NACK": self._in_transaction(self._settle),
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "BEGIN": self._begin,
            "COMMIT": self._commit,
            "ABORT": self._abort,
            "DISCONNECT": self._disconnect,
        }

    # --- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        host, port, *_ = self._transport.get_extra_info("peername") or ("?", 0)
        self.peer = f"{host}:{port}"
        self._broker.connections.add(self)
        self._timers["login"] = self._loop.call_later(CONNECT_TIMEOUT, self._login_is_late)

    def data_received(self, data: bytes) -> None:
        self._last_read = self._loop.time()
        if self._closing:
            return
        self._parser.feed(data)
        receipt = None
        try:
            while not self._closing and (frame := self._parser.next_frame()):
                receipt = frame.headers.get("receipt")
                self._handle(frame)
                receipt = None
        except ProtocolError as error:
            self.refuse(str(error), receipt)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._resume_subscriptions()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        for timer in self._timers.values():
            timer.cancel()
        self._broker.connections.discard(self)
        self._drop_subscriptions()
        if self._version:
            log.info(
                "client disconnected",
                extra={"peer": self.peer, "cause": str(exc) if exc else "closed"},
            )

    # --- called by the queues

    @property
    def accepts_messages(self) -> bool:
        return not (self._paused or self._closing) and self._unsent_bytes < HIGH_WATER_BYTES

    def deliver(self, subscription: Subscription, message: Message) -> None:
        lines = (
            {}
            if self._version == "1.0" and not subscription.key
            else {"subscription": subscription.key}
        )
        if subscription.ack != "auto" and self._version == "1.2":
            lines["ack"] = message.message_id
        self._write(message.encode(self._version, encode_headers(lines, self._version)))

    def close(self) -> None:
        """Send the remaining frames and close; unacknowledged messages return to their queues."""
        if not self._closing:
            self._closing = True
            self._drop_subscriptions()
            self._flush()
            self._transport.close()
            self._timers["close"] = self._loop.call_later(CLOSE_TIMEOUT, self._transport.abort)

    # --- frames

    def _handle(self, frame: Frame) -> None:
        if not self._version:
            self._connect(frame)
            return
        handler = self._handlers.get(frame.command)
        if handler is None:
            again = frame.command in ("CONNECT", "STOMP")
            raise ProtocolError("connected already" if again else "unknown command")
        handler(frame)
        receipt = frame.headers.get("receipt")
        if receipt is not None:
            self._switchboard.when_durable(
                lambda: self._write_frame("RECEIPT", {"receipt-id": receipt})
            )
        if frame.command == "DISCONNECT":
            self._switchboard.when_durable(self.close)

    def _connect(self, frame: Frame) -> None:
        if frame.command not in ("CONNECT", "STOMP"):
            raise ProtocolError("the first frame must be CONNECT")
        headers = frame.headers
        offered = headers.get("accept-version", "1.0").replace(" ", "").split(",")
        version = next((v for v in VERSIONS if v in offered), None)
        if version is None:
            self.refuse(
                "supported protocol versions are 1.0 1.1 1.2", None, {"version": "1.0,1.1,1.2"}
            )
            return
        if not self._may_log_in(headers):
            log.warning("login refused", extra={"peer": self.peer})
            self.refuse("login refused: wrong user or password")
            return
        # Any `host` is accepted: there is one virtual host, with any name.
        client_sends, client_wants = _heartbeat(headers.get("heart-beat", "0,0"))
        self._version = self._parser.version = version
        self._timers.pop("login").cancel()
        self._write_frame(
            "CONNECTED",
            {
                "version": version,
                "heart-beat": f"{SMALLEST_HEARTBEAT_MS},{SMALLEST_HEARTBEAT_MS}",
                "server": f"swf-broker/{self._broker.version}",
                "session": self.peer,
            },
        )
        log.info(
            "client connected",
            extra={
                "peer": self.peer,
                "stomp": version,
                "login": self.login.name if self.login else None,
            },
        )
        if client_wants:
            self._beat(max(client_wants, SMALLEST_HEARTBEAT_MS) / 1000)
        if client_sends:
            self._watch(max(client_sends, SMALLEST_HEARTBEAT_MS) / 1000 * HEARTBEAT_TOLERANCE)

    def _may_log_in(self, headers: dict[str, str]) -> bool:
        if self._broker.logins is None:
            return True
        self.login = self._broker.logins.find(headers.get("login", ""), headers.get("passcode", ""))
        return self.login is not None

    def _check_right(self, address: str) -> None:
        if self.login and not self.login.may_use(address):
            raise ProtocolError(
                f"the login {self.login.name} may not use {address}: it may use the addresses that "
                f"begin with swf.{self.login.namespace}."
            )

    def _in_transaction(self, handler: Callable[[Frame], None]) -> Callable[[Frame], None]:
        """`handler`, deferred until COMMIT if the frame names a transaction."""

        def handle(frame: Frame) -> None:
            name = frame.headers.get("transaction")
            if name is None:
                handler(frame)
            else:
                self._open_transaction(frame).append(frame)

        return handle

    def _open_transaction(self, frame: Frame) -> list[Frame]:
        try:
            return self._transactions[frame.headers["transaction"]]
        except KeyError:
            raise ProtocolError("no such transaction") from None

    def _send(self, frame: Frame) -> None:
        self._check_send(frame)
        self._switchboard.send(frame.headers, frame.body)

    def _check_send(self, frame: Frame) -> None:
        self._switchboard.check_send(frame.headers)
        self._check_right(checked_destination(frame.headers))

    def _subscribe(self, frame: Frame) -> None:
        headers = frame.headers
        destination = checked_destination(headers)
        self._check_right(destination)
        ack = headers.get("ack", "auto")
        if ack not in _ACK_MODES:
            raise ProtocolError("ack must be auto, client or client-individual")
        key = headers.get("id")
        if key is None and self._version != "1.0":
            raise ProtocolError("SUBSCRIBE needs an id")
        registered_as = key if key is not None else destination
        if registered_as in self._subscriptions:
            raise ProtocolError("this subscription exists already")
        prefetch = headers.get("activemq.prefetchSize", str(DEFAULT_PREFETCH))
        if not (prefetch.isascii() and prefetch.isdigit() and 0 < int(prefetch) <= 100_000):
            raise ProtocolError("activemq.prefetchSize must be a number from 1 to 100000")
        subscription = Subscription(
            self, key or "", destination, ack, int(prefetch), _selector(headers)
        )
        self._subscriptions[registered_as] = subscription
        self._switchboard.subscribe(subscription)

    def _unsubscribe(self, frame: Frame) -> None:
        registered_as = frame.headers.get("id", frame.headers.get("destination", ""))
        subscription = self._subscriptions.pop(registered_as, None)
        if subscription is None:
            raise ProtocolError("no such subscription")
        self._switchboard.unsubscribe(subscription)

    def _settle(self, frame: Frame) -> None:
        """ACK and NACK."""
        message_id = self._settled_id(frame)
        how = self._switchboard.acknowledge if frame.command == "ACK" else self._switchboard.reject
        for subscription in self._subscriptions.values():
            if message_id in subscription.in_flight:
                how(subscription, message_id)
                return
        # A message of a topic, or one that returned to its queue in the meantime.
        log.debug("acknowledgement of a message that is not in flight", extra={"peer": self.peer})

    def _settled_id(self, frame: Frame) -> str:
        name = "id" if self._version == "1.2" else "message-id"
        message_id = frame.headers.get(name)
        if message_id is None:
            raise ProtocolError(f"{frame.command} needs the header {name}")
        return message_id

    def _begin(self, frame: Frame) -> None:
        name = frame.headers.get("transaction")
        if name is None or name in self._transactions:
            raise ProtocolError("BEGIN needs the name of a new transaction")
        self._transactions[name] = []

    def _commit(self, frame: Frame) -> None:
        frames = self._open_transaction(frame)
        del self._transactions[frame.headers["transaction"]]
        # First all checks: a transaction is executed as a whole or not at all.
        for part in frames:
            if part.command == "SEND":
                self._check_send(part)
            else:
                self._settled_id(part)
        for part in frames:
            if part.command == "SEND":
                self._switchboard.send(part.headers, part.body)
            else:
                self._settle(part)

    def _abort(self, frame: Frame) -> None:
        self._open_transaction(frame)
        del self._transactions[frame.headers["transaction"]]

    def _disconnect(self, frame: Frame) -> None:
        self._drop_subscriptions()

    # --- helpers

    def _drop_subscriptions(self) -> None:
        subscriptions, self._subscriptions = self._subscriptions, {}
        for subscription in subscriptions.values():
            self._switchboard.unsubscribe(subscription)

    def _resume_subscriptions(self) -> None:
        for subscription in list(self._subscriptions.values()):
            self._switchboard.resume(subscription)

    def _write_frame(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        self._write(encode(command, headers, body, self._version or "1.0"))

    def _write(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        if not self._unsent:
            # one write for all frames of an iteration of the event loop
            self._loop.call_soon(self._flush)
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if self._unsent_bytes + self._transport.get_write_buffer_size() > UNREAD_LIMIT_BYTES:
            log.warning("disconnected: the client does not read", extra={"peer": self.peer})
            self._transport.abort()

    def _flush(self) -> None:
        if not self._unsent:
            return
        data = b"".join(self._unsent)
        self._unsent.clear()
        was_full = self._unsent_bytes >= HIGH_WATER_BYTES
        self._unsent_bytes = 0
        self._last_write = self._loop.time()
        if not self._transport.is_closing():
            self._transport.write(data)
            if was_full and not self._paused:
                self._resume_subscriptions()

    def refuse(
        self, cause: str, receipt: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        """Send an ERROR frame and close the connection, as STOMP requires."""
        log.warning("client refused", extra={"peer": self.peer, "cause": cause})
        answer = {"message": cause, "content-type": "text/plain", **(headers or {})}
        if receipt is not None:
            answer["receipt-id"] = receipt
        self._write_frame("ERROR", answer, cause.encode())
        self.close()

    def _login_is_late(self) -> None:
        self.refuse("no CONNECT frame was received")

    def _beat(self, interval: float) -> None:
        """Send a line end if nothing else was sent for half of `interval` seconds; repeat."""
        if self._closing:
            return
        if self._loop.time() - self._last_write >= interval / 2:
            self._write(b"\n")
        self._timers["beat"] = self._loop.call_later(interval / 2, self._beat, interval)

    def _watch(self, limit: float) -> None:
        """Disconnect the client if nothing was received for `limit` seconds."""
        if self._closing:
            return
        silent = self._loop.time() - self._last_read
        if silent >= limit:
            log.warning(
                "disconnected: no heart-beat",
                extra={"peer": self.peer, "seconds": round(silent, 1)},
            )
            self._transport.abort()
            return
        self._timers["watch"] = self._loop.call_later(limit - silent, self._watch, limit)


def _selector(headers: dict[str, str]) -> Selector | None:
    text = headers.get("selector", "").strip()
    try:
        return Selector(text) if text else None
    except SelectorError as error:
        raise ProtocolError(f"the selector is invalid: {error}") from None


def _heartbeat(header: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9}),(\d{1,9})", header, re.ASCII)
    if not found:
        raise ProtocolError("heart-beat must be two numbers of milliseconds")
    return int(found[1]), int(found[2])
