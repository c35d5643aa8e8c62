# SPDX-License-Identifier: GPL-3.0-or-later
"""The base class of all agents: heartbeats, messages to handlers, a clean shutdown."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from swf_common_lib.broker import Broker
from swf_common_lib.cli import Option
from swf_common_lib.data_directory import DataDirectoryError, check, mark, place
from swf_common_lib.logs import configure_logging
from swf_common_lib.messages import ROUTES, MalformedMessage, Message, now, parse
from swf_common_lib.monitor import MonitorClient, MonitorError, MonitorResponseError, TokenError
from swf_common_lib.recent import RecentKeys
from swf_common_lib.retry import Backoff, Outage
from swf_common_lib.settings import EXIT_CONFIGURATION, AgentSettings, Environment
from swf_common_lib.shutdown import Shutdown, Stopping

logger = logging.getLogger(__name__)

Handler = Callable[[Message], None]

#: Characters of a message that are stored if nobody can handle it.
MAX_SET_ASIDE = 65536


class FatalError(Exception):
    """The agent cannot do its work and must stop; the text is the cause, in one line."""


class BaseAgent:
    """One agent. A subclass sets the class variables and overrides `handlers`, `work` or both.

    Handlers run one at a time in a thread of their own, and must be idempotent: a message is
    delivered at least once. A message is acknowledged after its handler has returned. An
    interrupted handler raises :class:`Stopping` (as the methods of `self.monitor` and `publish`
    do), and the broker delivers the message again. After any other exception, and if a message is
    malformed or of another namespace, the message is stored at the monitor and acknowledged, so
    that one bad item does not block the others.

    :param settings: the settings of every agent
    """

    agent_type: ClassVar[str]
    description: ClassVar[str]
    version: ClassVar[str]
    #: Queues of the namespace to receive from, or addresses.
    queues: ClassVar[Sequence[str]] = ()
    #: Whether the agent needs the broker.
    uses_broker: ClassVar[bool] = True
    #: Whether the agent reads or writes data.
    uses_data: ClassVar[bool] = False
    #: Whether it marks the data directory of a namespace that has none.
    marks_data: ClassVar[bool] = False
    #: Command line options in addition to the common ones.
    options: ClassVar[Sequence[Option]] = ()

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        self.shutdown = Shutdown()
        self.monitor = MonitorClient(
            settings.monitor, self.shutdown, namespace=settings.namespace.name
        )
        self.namespace = settings.namespace
        self._record: dict[str, Any] = {}
        self._waits_for = ""
        self._broker = Broker(
            settings.broker,
            self.shutdown,
            [self.namespace.address(queue) for queue in self.queues],
            self._receive,
        )
        self._handlers = self.handlers()
        self._seen = RecentKeys()
        self._started_at = now()
        self._failure = ""

    @classmethod
    def from_environment(cls, env: Environment) -> BaseAgent:
        """Create the agent; a subclass with settings of its own overrides it.

        :raises ConfigurationError: a variable is wrong
        """
        return cls(AgentSettings.from_environment(cls.agent_type, env))

    def handlers(self) -> Mapping[str, Handler]:
        """The handler of each `msg_type`; other messages are acknowledged and ignored."""
        return {}

    def work(self) -> None:
        """The agent's work in addition to messages, in a thread of its own. When it returns, the
        agent exits with 0."""
        self.shutdown.wait()

    def publish(
        self, msg_type: str, run_id: int, destinations: Sequence[str] | None = None, **fields: Any
    ) -> None:
        """Send a message to the queues of its type, and return when the broker has confirmed it.

        :param destinations: queues of the namespace, or addresses, instead of those of the routing
            table
        :raises Stopping: the agent stops and the broker did not confirm in time
        :raises MalformedMessage: the fields are not those of this type
        """
        message = Message(
            msg_type=msg_type,
            run_id=run_id,
            sender=self.settings.agent_name,
            namespace=self.namespace.name,
            namespace_id=self._namespace_id,
            fields=fields,
        )
        body = message.to_json()
        self._broker.send(
            [(self.namespace.address(queue), body) for queue in destinations or ROUTES[msg_type]]
        )

    def check_data(self) -> None:
        """Check that the data directory is the one of the namespace. A handler that cannot read a
        file calls it before it says that the file has failed: the others may be able to read it.

        :raises FatalError: it is not; the text has the cause, the evidence and the fix
        """
        data_id = self._record.get("data_id")
        if not data_id:
            return  # the monitor has no namespaces
        try:
            check(self.settings.data_dir, self.namespace, data_id, self._record["data_place"])
        except DataDirectoryError as error:
            raise FatalError(str(error)) from None

    def run(self) -> int:
        """Run until a signal, or until `work` returns.

        :returns: exit code: 0, or 2 if the monitor refuses the token or `work` raised
            :class:`FatalError`
        """
        settings = self.settings
        configure_logging(
            settings.log_level, secrets=(settings.monitor.token, settings.broker.password)
        )
        self.shutdown.on_signals()
        logger.info(
            "starting",
            extra={
                "agent": settings.agent_name,
                "version": self.version,
                "monitor": settings.monitor.url,
            },
        )
        heartbeats = threading.Thread(target=self._send_heartbeats, name="heartbeats", daemon=True)
        worker = threading.Thread(target=self._work_repeatedly, name="work", daemon=True)
        try:
            self._claim_namespace()
            heartbeats.start()
            self._find_data()
        except Stopping:
            pass
        except (TokenError, FatalError) as error:
            self._fail(error)
        else:
            if self.uses_broker:
                self._broker.start()
            worker.start()
        self.shutdown.wait()
        _join(worker, self.shutdown.grace_left())
        finished = self._broker.stop() and not worker.is_alive()
        _join(heartbeats, self.shutdown.grace_left())
        if self._failure:
            print(f"{self.settings.agent_name}: {self._failure}", file=sys.stderr)
        logger.info("stopped", extra={"finished_current_item": finished})
        sys.stdout.flush()
        sys.stderr.flush()
        code = EXIT_CONFIGURATION if self._failure else 0
        if not finished or heartbeats.is_alive():
            # A thread is still running, which the shutdown of the interpreter might not survive.
            os._exit(code)
        return code

    @property
    def _namespace_id(self) -> str:
        return str(self._record.get("namespace_id", ""))

    def _claim_namespace(self) -> None:
        """Claim the namespace, so that no other testbed uses it. An agent without a broker does no
        work in it.

        :raises FatalError: it belongs to another testbed
        """
        if not self.uses_broker:
            return
        try:
            self._record = self.monitor.claim_namespace(self.namespace, self.settings.agent_name)
        except TokenError:
            raise
        except MonitorResponseError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise FatalError(error.detail) from None
            logger.warning("the monitor is of an earlier version without namespaces")

    def _find_data(self) -> None:
        """Wait until the namespace has a data directory, or mark it, and check it.

        :raises FatalError: this agent sees another directory
        """
        if not (self.uses_data and self._record):
            return
        data_dir = self.settings.data_dir
        if self.marks_data and not self._record["data_id"]:
            try:
                data_id = mark(data_dir, self.namespace.name)
            except DataDirectoryError as error:
                raise FatalError(str(error)) from None
            try:
                self._record = self.monitor.mark_data_directory(
                    self.namespace, data_id, place(data_dir)
                )
            except TokenError:
                raise
            except MonitorResponseError as error:
                raise FatalError(error.detail) from None
        while not self._record["data_id"]:
            self._waits_for = "data directory: no data or daqsim agent has marked it yet"
            self.shutdown.pause(1.0)
            self._claim_namespace()
        self._waits_for = ""
        self.check_data()

    def _fail(self, error: TokenError | FatalError) -> None:
        """Stop the agent, so that the messages in the queues stay there."""
        if not self._failure:
            self._failure = str(error)
            logger.error("%s", error)
        self.shutdown.request()

    def _work_repeatedly(self) -> None:
        backoff = Backoff(first=1.0)
        while not self.shutdown.requested:
            try:
                self.work()
                self.shutdown.request()
            except Stopping:
                return
            except (TokenError, FatalError) as error:
                self._fail(error)
            except Exception:
                logger.exception("unexpected error; trying again")
                self.shutdown.wait(backoff.delay())

    def _receive(self, body: str, address: str) -> None:
        try:
            message = parse(body)
        except MalformedMessage as error:
            logger.warning("malformed message set aside: %s", error)
            self._set_aside(body, address, f"malformed: {error}")
            return
        if not self._is_ours(message):
            logger.warning(
                "message of another namespace set aside",
                extra={"namespace": message.namespace, "sender": message.sender},
            )
            self._set_aside(body, address, "of another namespace")
            return
        handler = self._handlers.get(message.msg_type)
        if handler is None or message.message_id in self._seen:
            logger.debug("message ignored", extra={"msg_type": message.msg_type})
            return
        try:
            handler(message)
        except Stopping:
            raise
        except (TokenError, FatalError) as error:
            self._fail(error)
            raise Stopping from None
        except MonitorResponseError as error:
            logger.error(
                "%s refused: %s", message.msg_type, error, extra={"message_id": message.message_id}
            )
            self._set_aside(body, address, f"refused by the monitor: {error.detail}")
        except Exception as error:
            # An error in one message must not stop the handling of all others.
            logger.exception("cannot handle a message")
            self._set_aside(body, address, f"error of the agent: {type(error).__name__}: {error}")
        self._seen.add(message.message_id)

    def _is_ours(self, message: Message) -> bool:
        ids = {message.namespace_id, self._namespace_id} - {""}
        return message.namespace == self.namespace.name and len(ids) < 2

    def _set_aside(self, body: str, address: str, reason: str) -> None:
        """Store a message at the monitor before it is acknowledged, so that it is not lost and its
        number is a part of the health."""
        try:
            self.monitor.set_aside(
                namespace=self.namespace.name,
                receiver=self.settings.agent_name,
                destination=address,
                reason=reason[:1000],
                body=body[:MAX_SET_ASIDE],
            )
        except TokenError as error:
            self._fail(error)
            raise Stopping from None
        except MonitorResponseError as error:
            logger.error("message dropped: %s", error, extra={"beginning": body[:200]})

    def _send_heartbeats(self) -> None:
        monitor = MonitorClient(self.settings.monitor, self.shutdown, patient=False)
        outage = Outage(logger, "heartbeats")
        while True:
            try:
                monitor.heartbeat(**self._heartbeat())
                outage.over()
            except TokenError as error:
                self._fail(error)
            except MonitorResponseError as error:
                if error.status == HTTPStatus.CONFLICT:
                    # the namespace was taken over, or the monitor has another database
                    self._fail(FatalError(error.detail))
                else:
                    outage.failed(str(error))
            except MonitorError as error:
                outage.failed(str(error))
            if self.shutdown.wait(self.settings.heartbeat_interval):
                # Here, so that no heartbeat follows it. A failed agent must count as dead.
                if not self._failure:
                    monitor.goodbye(self.settings.agent_name, os.getpid())
                return

    def _heartbeat(self) -> dict[str, Any]:
        problem = self._waits_for
        if self.uses_broker and not problem and self._broker.problem:
            problem = f"broker: {self._broker.problem}"
        return {
            "instance_name": self.settings.agent_name,
            "agent_type": self.agent_type,
            "status": "WARNING" if problem else "OK",
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "version": self.version,
            "description": problem or self.description,
            "started_at": self._started_at,
            "namespace": self.namespace.name,
            "namespace_owner": self.namespace.owner,
            "namespace_id": self._namespace_id,
            "heartbeat_interval": self.settings.heartbeat_interval,
        }


def _join(thread: threading.Thread, timeout: float) -> None:
    """Wait for the end of a thread, if it was started."""
    if thread.ident is not None:
        thread.join(timeout)
