# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the STOMP broker that survives outages.

It has three threads: one maintains the connection, one (stomp.py's) receives, and one handles the
messages, so that slow work does not delay heart-beats and receipts.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Sequence

from stomp.utils import Frame

from swf_common_lib.retry import Backoff, Outage
from swf_common_lib.session import BrokerError, Session
from swf_common_lib.settings import BrokerSettings, tls_context
from swf_common_lib.shutdown import Shutdown, Stopping

logger = logging.getLogger(__name__)

RECEIPT_TIMEOUT = 30.0
_POLL = 0.2


class Broker:
    """Sends and receives through a broker, and reconnects without a limit.

    :param settings: the address of the broker
    :param shutdown: stops all threads
    :param subscriptions: addresses to receive from
    :param on_message: called with the body and the address of each message, one at a time. When it
        returns, the message is acknowledged; if it raises :class:`Stopping`, it is not, and the
        broker delivers it again later.
    :param prefetch: how many messages the broker may send ahead
    :raises ConfigurationError: the CA bundle cannot be used
    """

    def __init__(
        self,
        settings: BrokerSettings,
        shutdown: Shutdown,
        subscriptions: Sequence[str] = (),
        on_message: Callable[[str, str], None] | None = None,
        prefetch: int = 10,
    ) -> None:
        self._settings = settings
        self._shutdown = shutdown
        self._subscriptions = tuple(subscriptions)
        self._on_message = on_message or (lambda body, address: None)
        self._receives = on_message is not None
        self._prefetch = prefetch
        self._tls = (
            tls_context("ACTIVEMQ_SSL_CA_CERTS", settings.ca_certs) if settings.use_ssl else None
        )
        self._outage = Outage(logger, f"broker {settings.host}:{settings.port}")
        self._deliveries: queue.SimpleQueue[tuple[Session, Frame]] = queue.SimpleQueue()
        self._session: Session | None = None
        self._changed = threading.Condition()
        self._subscribing = threading.Lock()
        self._worker = threading.Thread(target=self._work, name="messages", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether there is a connection with all subscriptions."""
        session = self._session
        return session is not None and not session.closed.is_set()

    @property
    def problem(self) -> str:
        """Why there is no connection; "" if there is one."""
        return "" if self.connected else self._outage.cause or "connecting"

    def start(self) -> None:
        """Start to connect and to receive."""
        threading.Thread(target=self._stay_connected, name="broker", daemon=True).start()
        if self._receives:
            self._worker.start()

    def subscribe(self, subscriptions: Sequence[str]) -> None:
        """Receive from these addresses, and no others."""
        with self._subscribing:
            self._subscriptions = tuple(subscriptions)
            session = self._session
            if session is not None and not session.closed.is_set():
                # if the connection ended, the next one has the subscriptions
                with contextlib.suppress(BrokerError):
                    session.subscribe(self._subscriptions, self._prefetch)

    def send(self, messages: Sequence[tuple[str, str]]) -> None:
        """Send messages, and return when the broker has confirmed each of them.

        If the confirmation gets lost with the connection, the message is sent again, so a receiver
        may get it twice.

        :param messages: pairs of address and body
        :raises Stopping: the program stops and the grace period is over
        """
        pending = {str(uuid.uuid4()): message for message in messages}
        while pending:
            session = self._wait_for_session()
            try:
                for receipt, (destination, body) in pending.items():
                    session.send(destination, body, receipt)
            except BrokerError:
                pass  # some may have arrived: the receipts show which
            self._wait_for_receipts(session, pending)

    def stop(self) -> bool:
        """Wait for the current message within the grace period, and disconnect.

        :returns: False if the message was not finished; the broker delivers it again
        """
        if self._worker.ident is not None:
            self._worker.join(self._shutdown.grace_left())
        session = self._session
        if session is not None:
            session.close(timeout=0.5)
        return not self._worker.is_alive()

    def _wait_for_receipts(self, session: Session, pending: dict[str, tuple[str, str]]) -> None:
        deadline = time.monotonic() + RECEIPT_TIMEOUT
        while pending:
            ended = session.closed.is_set()
            for receipt in session.confirmed(pending, _POLL):
                del pending[receipt]
            if ended:
                return
            if self._shutdown.grace_left() <= 0 and pending:
                raise Stopping
            if time.monotonic() > deadline and pending:
                session.drop(f"no receipt within {RECEIPT_TIMEOUT:.0f} s")

    def _wait_for_session(self) -> Session:
        with self._changed:
            while True:
                if self._session is not None and not self._session.closed.is_set():
                    return self._session
                # after the request to stop, there is no new connection
                if self._shutdown.requested:
                    raise Stopping
                self._changed.wait(_POLL)

    def _stay_connected(self) -> None:
        backoff = Backoff()
        while not self._shutdown.requested:
            session = Session(
                self._settings, self._tls, lambda s, frame: self._deliveries.put((s, frame))
            )
            began = time.monotonic()
            try:
                session.open()
                session.subscribe(self._subscriptions, self._prefetch)
            except BrokerError as error:
                self._outage.failed(str(error))
            else:
                self._use(session)
                if self._shutdown.requested:
                    return
                self._outage.failed(session.cause)
                if time.monotonic() - began > 5.0:
                    backoff.reset()
            self._shutdown.wait(backoff.delay())

    def _use(self, session: Session) -> None:
        self._outage.over()
        logger.info("connected to the broker", extra={"subscriptions": list(self._subscriptions)})
        with self._changed:
            self._session = session
            self._changed.notify_all()
        # they may have changed while the connection was made
        self.subscribe(self._subscriptions)
        session.closed.wait()

    def _work(self) -> None:
        while not self._shutdown.requested:
            try:
                session, frame = self._deliveries.get(timeout=_POLL)
            except queue.Empty:
                continue
            if session.closed.is_set():
                continue  # the broker delivers it again on the new connection
            try:
                self._on_message(frame.body, frame.headers.get("destination", ""))
            except Stopping:
                return
            except Exception:
                # An error in one message must not stop the handling of all others.
                logger.exception("cannot handle a message")
            try:
                session.ack(frame)
            except BrokerError as error:
                logger.info("message not acknowledged: %s; it will be delivered again", error)
