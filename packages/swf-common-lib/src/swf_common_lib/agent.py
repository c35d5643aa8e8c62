# SPDX-License-Identifier: GPL-3.0-or-later
"""The base class of all agents: heartbeats, messages to handlers, a clean shutdown."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from swf_common_lib.broker import Broker
from swf_common_lib.cli import Option
from swf_common_lib.logs import configure_logging
from swf_common_lib.messages import ROUTES, MalformedMessage, Message, now, parse
from swf_common_lib.monitor import MonitorClient, MonitorError, MonitorResponseError, TokenError
from swf_common_lib.recent import RecentKeys
from swf_common_lib.retry import Backoff, Outage
from swf_common_lib.settings import EXIT_CONFIGURATION, AgentSettings, Environment
from swf_common_lib.shutdown import Shutdown, Stopping

logger = logging.getLogger(__name__)

Handler = Callable[[Message], None]


class FatalError(Exception):
    """The agent cannot do its work and must stop; the text is the cause, in one line."""


class BaseAgent:
    """One agent. A subclass sets the class variables and overrides `handlers`, `work` or both.

    Handlers run one at a time in a thread of their own, and must be idempotent: a message is
    delivered at least once. A message is acknowledged after its handler has returned. An
    interrupted handler raises :class:`Stopping` (as the methods of `self.monitor` and `publish`
    do), and the broker delivers the message again. Any other exception is logged and the message is
    acknowledged, so that one bad item does not block the others.

    :param settings: the settings of every agent
    """

    agent_type: ClassVar[str]
    description: ClassVar[str]
    version: ClassVar[str]
    #: Addresses to receive from.
    queues: ClassVar[Sequence[str]] = ()
    #: Whether the agent needs the broker.
    uses_broker: ClassVar[bool] = True
    #: Command line options in addition to the common ones.
    options: ClassVar[Sequence[Option]] = ()

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        self.shutdown = Shutdown()
        self.monitor = MonitorClient(settings.monitor, self.shutdown)
        self._broker = Broker(settings.broker, self.shutdown, self.queues, self._receive)
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
        agent ends with 0."""
        self.shutdown.wait()

    def publish(
        self, msg_type: str, run_id: int, destinations: Sequence[str] | None = None, **fields: Any
    ) -> None:
        """Send a message to the queues of its type, and return when the broker has confirmed it.

        :param destinations: queues instead of those of the routing table
        :raises Stopping: the agent stops and the broker did not confirm in time
        :raises MalformedMessage: the fields are not those of this type
        """
        message = Message(
            msg_type=msg_type,
            run_id=run_id,
            sender=self.settings.agent_name,
            namespace=self.settings.namespace,
            fields=fields,
        )
        body = message.to_json()
        self._broker.send([(queue, body) for queue in destinations or ROUTES[msg_type]])

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
        if self.uses_broker:
            self._broker.start()
        heartbeats = threading.Thread(target=self._send_heartbeats, name="heartbeats", daemon=True)
        heartbeats.start()
        worker = threading.Thread(target=self._work_repeatedly, name="work", daemon=True)
        worker.start()
        self.shutdown.wait()
        worker.join(self.shutdown.grace_left())
        finished = self._broker.stop() and not worker.is_alive()
        heartbeats.join(self.shutdown.grace_left())
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

    def _receive(self, body: str) -> None:
        try:
            message = parse(body)
        except MalformedMessage as error:
            logger.warning("malformed message ignored: %s", error)
            return
        handler = self._handlers.get(message.msg_type)
        if handler is None or message.message_id in self._seen:
            logger.debug("message ignored", extra={"msg_type": message.msg_type})
            return
        try:
            handler(message)
        except TokenError as error:
            self._fail(error)
            raise Stopping from None
        except MonitorResponseError as error:
            logger.error(
                "%s refused: %s", message.msg_type, error, extra={"message_id": message.message_id}
            )
        self._seen.add(message.message_id)

    def _send_heartbeats(self) -> None:
        monitor = MonitorClient(self.settings.monitor, self.shutdown, patient=False)
        outage = Outage(logger, "heartbeats")
        while True:
            try:
                monitor.heartbeat(**self._heartbeat())
                outage.over()
            except TokenError as error:
                self._fail(error)
            except MonitorError as error:
                outage.failed(str(error))
            if self.shutdown.wait(self.settings.heartbeat_interval):
                # Here, so that no heartbeat follows it. A failed agent must count as dead.
                if not self._failure:
                    monitor.goodbye(self.settings.agent_name, os.getpid())
                return

    def _heartbeat(self) -> dict[str, Any]:
        problem = self._broker.problem if self.uses_broker else ""
        return {
            "instance_name": self.settings.agent_name,
            "agent_type": self.agent_type,
            "status": "WARNING" if problem else "OK",
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "version": self.version,
            "description": f"broker: {problem}" if problem else self.description,
            "started_at": self._started_at,
            "namespace": self.settings.namespace,
            "heartbeat_interval": self.settings.heartbeat_interval,
        }
