# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-monitor listen`: records each message of the workflow once, despite outages of the broker
and the database."""

import json
import logging
import threading
import time
from typing import Any

from django.db import connection
from django.utils import timezone
from rest_framework import serializers
from swf_common_lib.broker import Broker
from swf_common_lib.messages import MONITOR_QUEUE
from swf_common_lib.retry import Backoff, Outage
from swf_common_lib.settings import BrokerSettings
from swf_common_lib.shutdown import Shutdown, Stopping

from swf_monitor.api.serializers import MAX_BIG_INTEGER
from swf_monitor.database import (
    NOT_SET_UP,
    REFUSED,
    UNAVAILABLE,
    explain,
    pending_migrations,
    release_space,
)
from swf_monitor.models import ListenerState, Message
from swf_monitor.retention import PAUSE_SECONDS, Limits, prune

logger = logging.getLogger(__name__)

STATE_SECONDS = 5.0
# A change of the subscription is recorded at once, and not with the next state.
CHANGE_SECONDS = 0.5
PRUNE_SECONDS = 600.0
# Messages that the broker may send ahead, so that a burst does not wait for each single
# acknowledgement.
PREFETCH = 100
MAX_BODY_CHARACTERS = 1024 * 1024


class NotAMessageError(ValueError):
    """The body is not a message of the workflow. That is permanent, so the message is
    acknowledged."""


class Envelope(serializers.Serializer[Any]):
    """The fields that are read from a body. Unknown message types are recorded, too."""

    message_id = serializers.UUIDField()
    msg_type = serializers.CharField(max_length=64)
    namespace = serializers.CharField(max_length=100, allow_blank=True, default="")
    sender = serializers.CharField(max_length=200, allow_blank=True, default="")
    run_id = serializers.IntegerField(
        min_value=-MAX_BIG_INTEGER, max_value=MAX_BIG_INTEGER, allow_null=True, default=None
    )
    sent_at = serializers.DateTimeField(allow_null=True, default=None)
    filename = serializers.CharField(max_length=255, allow_blank=True, default="")


def read(text: str) -> Message:
    """Parse a body into a row.

    Raises:
        NotAMessageError: it is not a JSON object with an envelope; the text is the cause.
    """
    if len(text) > MAX_BODY_CHARACTERS:
        raise NotAMessageError(f"the body is longer than {MAX_BODY_CHARACTERS} characters")
    try:
        body = json.loads(text)
        # Python accepts NaN and numbers that are too large; no database does.
        json.dumps(body, allow_nan=False)
    except (ValueError, RecursionError):
        raise NotAMessageError("the body is not JSON") from None
    if not isinstance(body, dict):
        raise NotAMessageError("the body is not a JSON object")
    envelope = Envelope(data={"filename": body.get("tf_filename", ""), **body})
    if not envelope.is_valid():
        raise NotAMessageError(
            "; ".join(f"{name}: {' '.join(errors)}" for name, errors in envelope.errors.items())
        )
    return Message(**envelope.validated_data, body=body)


class Listener:
    """Receives from the monitor's queue until a stop signal.

    Args:
        broker: Where the messages come from.
        limits: Beyond them, rows are deleted.
    """

    def __init__(self, broker: BrokerSettings, limits: Limits) -> None:
        self._limits = limits
        self._address = f"{broker.host}:{broker.port}"
        self._shutdown = Shutdown()
        self._outage = Outage(logger, "database")
        self._refused = 0
        self._broker = Broker(
            broker,
            self._shutdown,
            subscriptions=[MONITOR_QUEUE],
            on_message=self._record,
            prefetch=PREFETCH,
        )

    def run(self) -> None:
        """Block until SIGTERM, SIGQUIT or SIGINT."""
        self._shutdown.on_signals()
        try:
            self._wait_for_tables()
            self._broker.start()
            threading.Thread(target=self._prune_periodically, name="retention", daemon=True).start()
        except Stopping:
            return
        self._report_state()
        self._broker.stop()
        self._write_state(False, "the listener was stopped")
        logger.info("stopped")

    def _wait_for_tables(self) -> None:
        backoff = Backoff()
        while True:
            try:
                if not pending_migrations():
                    self._outage.over()
                    return
                self._outage.failed(NOT_SET_UP)
            except UNAVAILABLE as error:
                self._database_failed(error)
            self._shutdown.pause(backoff.delay())

    def _record(self, text: str) -> None:
        """Store one message, or refuse it permanently. The broker gets the acknowledgement when
        this returns."""
        try:
            message = read(text)
            self._store(message)
        except NotAMessageError as error:
            self._refused += 1
            logger.warning("message refused: %s", error, extra={"beginning": text[:200]})
        except REFUSED as error:
            self._refused += 1
            logger.warning(
                "message refused by the database: %s",
                explain(error),
                extra={"beginning": text[:200]},
            )

    def _store(self, message: Message) -> None:
        backoff = Backoff()
        while True:
            try:
                # a message that is stored already, because its acknowledgement got lost, is ignored
                Message.objects.bulk_create([message], ignore_conflicts=True)
            except REFUSED:
                raise
            except UNAVAILABLE as error:
                self._database_failed(error)
                self._shutdown.pause(backoff.delay())
            else:
                self._outage.over()
                return

    def _report_state(self) -> None:
        reported_at, reported = 0.0, False
        while not self._shutdown.requested:
            connected = self._broker.connected
            if connected != reported or time.monotonic() - reported_at >= STATE_SECONDS:
                reported_at, reported = time.monotonic(), connected
                self._report(connected)
            self._shutdown.wait(CHANGE_SECONDS)

    def _report(self, connected: bool) -> None:
        if connected:
            refused = f"; {self._refused} messages refused since its start" if self._refused else ""
            self._write_state(True, f"subscribed to {MONITOR_QUEUE} at {self._address}{refused}")
        else:
            self._write_state(False, f"broker {self._address}: {self._broker.problem}")

    def _write_state(self, subscribed: bool, detail: str) -> None:
        state = {"subscribed": subscribed, "detail": detail, "updated_at": timezone.now()}
        try:
            ListenerState.objects.update_or_create(pk=1, defaults=state)
        except UNAVAILABLE as error:
            self._database_failed(error)
        else:
            self._outage.over()

    def _prune_periodically(self) -> None:
        while True:
            try:
                limits = self._limits
                deleted = prune(
                    limits.before, limits.messages, limits.stf_files, self._let_others_write
                )
                released = release_space(self._let_others_write)
            except UNAVAILABLE as error:
                self._database_failed(error)
            else:
                if deleted or released:
                    logger.info("old rows deleted", extra={**deleted, "pages_released": released})
            if self._shutdown.wait(PRUNE_SECONDS):
                return

    def _let_others_write(self) -> bool:
        return self._shutdown.wait(PAUSE_SECONDS)

    def _database_failed(self, error: Exception) -> None:
        self._outage.failed(explain(error))
        # Each thread has a connection of its own; a broken one does not recover by itself.
        connection.close()
