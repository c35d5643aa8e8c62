# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-monitor listen`: records each message of the workflow once, despite outages of the broker
and the database."""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.utils import timezone
from rest_framework import serializers
from swf_common_lib.broker import Broker
from swf_common_lib.retry import Backoff, Outage
from swf_common_lib.settings import BrokerSettings, ConfigurationError, Environment
from swf_common_lib.shutdown import Shutdown, Stopping

from swf_monitor.api.serializers import MAX_BIG_INTEGER, MAX_INTEGER
from swf_monitor.database import (
    NOT_SET_UP,
    REFUSED,
    UNAVAILABLE,
    explain,
    pending_migrations,
    release_space,
)
from swf_monitor.models import RUN_BEFORE, ListenerState, Message, Namespace, Run, RunStatus
from swf_monitor.namespaces import monitor_queues, set_aside
from swf_monitor.nesting import MAX_DEPTH, deeper_than
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
# The connection with the queues of all namespaces.
QUEUES = "the queues of the namespaces"


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
    body = _json_object(text)
    return _message(Envelope(data={"filename": body.get("tf_filename", ""), **body}), body)


def read_public(text: str) -> Message:
    """Parse a body of the public testbed into a row: it has no ID, null is the same as a missing
    field, and a run may have any text as its ID.

    Raises:
        NotAMessageError: as `read`.
    """
    body = _json_object(text)
    run_id = body.get("run_id")
    given = {
        # A redelivery is not possible: the broker does not store messages of a topic.
        "message_id": uuid.uuid4(),
        "run_id": run_id if str(run_id).isdecimal() else None,
        "filename": body.get("filename") or body.get("tf_filename"),
        **{name: body.get(name) for name in ("msg_type", "namespace", "sender")},
    }
    return _message(Envelope(data={k: v for k, v in given.items() if v is not None}), body)


def _json_object(text: str) -> dict[str, Any]:
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
    if deeper_than(body, MAX_DEPTH):
        # the REST API and the pages could not show it
        raise NotAMessageError(f"the body has more than {MAX_DEPTH} nested lists and objects")
    return body


def _message(envelope: Envelope, body: dict[str, Any]) -> Message:
    if not envelope.is_valid():
        raise NotAMessageError(
            "; ".join(f"{name}: {' '.join(errors)}" for name, errors in envelope.errors.items())
        )
    return Message(**envelope.validated_data, body=body)


def follow_run(message: Message) -> None:
    """Change the run of a message of the public testbed. A run of the reference agents with the
    same number stays as it is."""
    if message.run_id is None:
        return
    runs = Run.objects.filter(pk=message.run_id, metadata__isnull=False)
    if message.msg_type == "start_run":
        runs.filter(status__in=RUN_BEFORE[RunStatus.RUNNING]).update(
            status=RunStatus.RUNNING, started_at=message.received_at
        )
    elif message.msg_type == "end_run":
        total = message.body.get("total_stf_files")
        if type(total) is int and 0 <= total <= MAX_INTEGER:
            runs.update(total_files=total)
        runs.filter(status__in=RUN_BEFORE[RunStatus.ENDED]).update(
            status=RunStatus.ENDED, ended_at=message.received_at
        )


def public_topic(environment: Environment) -> str:
    """SWF_MONITOR_TOPIC, the topic of the public testbed; "" for none.

    Raises:
        ConfigurationError: it is a queue. The listener would take the work of the agents.
    """
    topic = environment.text("SWF_MONITOR_TOPIC", "/topic/epictopic")
    if topic.startswith("/queue/"):
        raise ConfigurationError(f"SWF_MONITOR_TOPIC must be a topic or 'none', not {topic!r}")
    return "" if topic == "none" else topic


class Listener:
    """Receives from the monitor's queue in each claimed namespace, and from a topic, until a stop
    signal.

    Args:
        broker: Where the messages come from.
        topic: The topic of the public testbed; "" for none.
        limits: Beyond them, rows are deleted.
    """

    def __init__(self, broker: BrokerSettings, topic: str, limits: Limits) -> None:
        self._limits = limits
        self._address = f"{broker.host}:{broker.port}"
        self._shutdown = Shutdown()
        self._outage = Outage(logger, "database")
        self._refused = 0
        # The queue of the monitor in each claimed namespace.
        self._queues: dict[str, Namespace] = {}
        # A connection for each: if the login may not read the topic, the queues are read
        # nevertheless.
        self._brokers = {QUEUES: Broker(broker, self._shutdown, (), self._record, PREFETCH)}
        if topic:
            self._brokers[topic] = Broker(
                broker, self._shutdown, [topic], self._record_public, PREFETCH
            )

    def run(self) -> None:
        """Block until SIGTERM, SIGQUIT or SIGINT."""
        self._shutdown.on_signals()
        try:
            self._wait_for_tables()
            self._follow_namespaces()
            for broker in self._brokers.values():
                broker.start()
            threading.Thread(target=self._prune_periodically, name="retention", daemon=True).start()
        except Stopping:
            return
        self._report_state()
        for broker in self._brokers.values():
            broker.stop()
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

    def _record(self, text: str, address: str) -> None:
        problem = self._handle(text, lambda text: self._own(read(text)), lambda message: None)
        if problem:
            namespace = self._namespace_at(address)
            name = namespace.name if namespace else ""
            self._retry(
                lambda: set_aside(name, "monitor", address, problem, text[:MAX_BODY_CHARACTERS])
            )

    def _record_public(self, text: str, address: str) -> None:
        self._handle(text, read_public, follow_run)

    def _own(self, message: Message) -> Message:
        """The message itself, if it is one of a claimed namespace.

        Raises:
            NotAMessageError: it is not, or of another testbed with the same name of its namespace.
        """
        if self._is_claimed(message):
            return message
        # it may have been claimed a moment ago
        self._follow_namespaces()
        if self._is_claimed(message):
            return message
        raise NotAMessageError(f"of another namespace: {message.namespace or 'none'}")

    def _is_claimed(self, message: Message) -> bool:
        sent = str(message.body.get("namespace_id") or "")
        return any(
            message.namespace == namespace.name and sent in ("", namespace.namespace_id)
            for namespace in self._queues.values()
        )

    def _namespace_at(self, address: str) -> Namespace | None:
        # a broker with prefixes may deliver an address without its prefix
        for queue, namespace in self._queues.items():
            if queue.endswith(f"/{address}") or queue == address:
                return namespace
        return None

    def _handle(
        self, text: str, parse: Callable[[str], Message], then: Callable[[Message], None]
    ) -> str:
        """Store one message, or refuse it permanently: return the reason, or "". The broker gets
        the acknowledgement afterwards."""
        try:
            message = parse(text)
            self._retry(lambda: self._store(message, then))
        except NotAMessageError as error:
            self._refused += 1
            logger.warning("message refused: %s", error, extra={"beginning": text[:200]})
            return str(error)
        except REFUSED as error:
            self._refused += 1
            reason = f"message refused by the database: {explain(error)}"
            logger.warning("%s", reason, extra={"beginning": text[:200]})
            return reason
        return ""

    def _store(self, message: Message, then: Callable[[Message], None]) -> None:
        # a message that is stored already, because its acknowledgement got lost, is ignored
        Message.objects.bulk_create([message], ignore_conflicts=True)
        then(message)

    def _retry(self, write: Callable[[], object]) -> None:
        backoff = Backoff()
        while True:
            try:
                write()
            except REFUSED:
                raise
            except UNAVAILABLE as error:
                self._database_failed(error)
                self._shutdown.pause(backoff.delay())
            else:
                self._outage.over()
                return

    def _follow_namespaces(self) -> None:
        """Receive from the queues of all claimed namespaces."""
        try:
            queues = monitor_queues()
        except UNAVAILABLE as error:
            self._database_failed(error)
            return
        changed = queues.keys() != self._queues.keys()
        self._queues = queues
        if changed:
            self._brokers[QUEUES].subscribe(list(queues))

    def _report_state(self) -> None:
        reported_at, reported = 0.0, False
        while not self._shutdown.requested:
            self._follow_namespaces()
            connected = all(broker.connected for broker in self._brokers.values())
            if connected != reported or time.monotonic() - reported_at >= STATE_SECONDS:
                reported_at, reported = time.monotonic(), connected
                self._report(connected)
            self._shutdown.wait(CHANGE_SECONDS)

    def _report(self, connected: bool) -> None:
        if connected:
            refused = f"; {self._refused} messages refused since its start" if self._refused else ""
            topics = [name for name in self._brokers if name != QUEUES]
            number = len(self._queues)
            names = " and ".join([f"{number} namespace{'' if number == 1 else 's'}", *topics])
            self._write_state(True, f"subscribed to {names} at {self._address}{refused}")
        else:
            problems = {name: broker.problem for name, broker in self._brokers.items()}
            cause = problems[QUEUES] or "; ".join(
                f"not subscribed to {name}: {problem}"
                for name, problem in problems.items()
                if problem
            )
            self._write_state(False, f"broker {self._address}: {cause}")

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
