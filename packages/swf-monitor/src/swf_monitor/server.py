# SPDX-License-Identifier: GPL-3.0-or-later
"""`swf-monitor serve`: daphne, in this process."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

# First: it chooses Twisted's reactor.
from daphne.server import Server, twisted_loop  # isort:skip
from swf_common_lib.exclusive import LockHeld
from swf_common_lib.retry import Outage
from swf_common_lib.settings import ConfigurationError
from twisted.internet import reactor as twisted_reactor

from swf_monitor import __version__
from swf_monitor.asgi import application
from swf_monitor.database import UNAVAILABLE, explain, is_sqlite, pending_migrations
from swf_monitor.provision import set_up
from swf_monitor.request_limit import LimitedFactory

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("swf_monitor.access")

# Seconds that running requests have to finish after a stop signal.
GRACE_SECONDS = 3.0
DATABASE_RETRY_SECONDS = 2.0

# Twisted creates it at run time, so it has no static type.
reactor: Any = twisted_reactor

_outage = Outage(logger, "database")


def serve(listening: socket.socket, token: str | None) -> int:
    """Serve until a stop signal.

    Args:
        listening: The socket. It is bound before the first access to the database: a second monitor
            must not migrate the database of the first one.
        token: The API token, to set up the database first. None: the database must be set up.

    Raises:
        ConfigurationError: the database is not set up.
    """
    if not _prepare_database(token):
        threading.Thread(target=_prepare_when_it_answers, args=[token], daemon=True).start()
    server = MonitorServer(listening)
    host, port = listening.getsockname()[:2]
    logger.info("serving", extra={"host": host, "port": port, "version": __version__})
    server.run()
    logger.info("stopped")
    return 0


def _prepare_database(token: str | None) -> bool:
    """Set up the database, or check that it is; return False if PostgreSQL does not answer yet.

    Raises:
        ConfigurationError: it is not set up, or SQLite's file cannot be used.
    """
    try:
        if token is not None:
            outcome = set_up(token)
            if outcome["changed"]:
                logger.info("database set up", extra={"migrations": len(outcome["migrations"])})
            return True
        pending = pending_migrations()
    except UNAVAILABLE as error:
        if is_sqlite():
            raise ConfigurationError(f"the database cannot be used: {explain(error)}") from None
        _outage.failed(explain(error))
        return False
    except LockHeld as error:
        raise ConfigurationError(str(error)) from None
    except OSError as error:
        raise ConfigurationError(f"cannot use SWF_MONITOR_DATA_DIR: {error}") from None
    if pending:
        raise ConfigurationError(
            f"the database is not set up: {len(pending)} migrations are not applied; "
            "run 'swf-monitor setup', or add --setup"
        )
    return True


def _prepare_when_it_answers(token: str | None) -> None:
    """Wait for a PostgreSQL that starts later than this host. The monitor serves meanwhile, and its
    health report has the cause."""
    while True:
        time.sleep(DATABASE_RETRY_SECONDS)
        try:
            if _prepare_database(token):
                break
        except ConfigurationError as error:
            # the health report has the cause, too
            logger.error("%s", error)
            return
    _outage.over()


class MonitorServer(Server):
    """daphne on a socket that is already bound, with a graceful shutdown."""

    def __init__(self, listening: socket.socket) -> None:
        # daphne requires an endpoint, and would search all of site-packages for plugins to parse a
        # real one.
        super().__init__(
            application,
            endpoints=["none"],
            signal_handlers=False,
            action_logger=_log_access,
            ready_callable=self._start_listening,
            server_name="",
            verbosity=2,
        )
        self.endpoints: list[str] = []
        self.connections: dict[Any, dict[str, Any]] = {}
        self._listening = listening
        self._port: Any = None
        self._stop_at = 0.0
        # Twisted's messages. At INFO, they report objects that start and stop.
        logging.getLogger("daphne").setLevel(logging.WARNING)

    def _start_listening(self) -> None:
        self._port = reactor.adoptStreamPort(
            self._listening.fileno(), self._listening.family, LimitedFactory(self)
        )
        self._listening.close()
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            twisted_loop.add_signal_handler(number, self._shut_down, number)

    def _shut_down(self, number: int) -> None:
        """Accept no more connections, and stop when the running requests are done, at the latest
        after the grace period."""
        if self._stop_at:
            return
        logger.info("stopping", extra={"signal": signal.Signals(number).name})
        self._stop_at = time.monotonic() + GRACE_SECONDS
        self._port.stopListening()
        self._stop_when_idle()

    def _stop_when_idle(self) -> None:
        if not self._busy():
            reactor.stop()
        elif time.monotonic() < self._stop_at:
            reactor.callLater(0.05, self._stop_when_idle)
        else:
            # The thread of a request cannot be ended from outside, and Python would wait for it.
            # The database rolls back an open transaction.
            logger.warning("stopped with requests unanswered")
            logging.shutdown()
            sys.stdout.flush()
            os._exit(0)

    def _busy(self) -> bool:
        """Whether a request is running."""
        return any(
            not details["application_instance"].done()
            for details in self.connections.values()
            if "application_instance" in details
        )

    def kill_all_applications(self) -> Any:
        # daphne expects an application for every connection; one that has just ended has none.
        self.connections = {
            protocol: details
            for protocol, details in self.connections.items()
            if "application_instance" in details
        }
        return super().kill_all_applications()


def _log_access(protocol: str, action: str, details: dict[str, Any]) -> None:
    """Log a request at DEBUG, for there are many. Django itself logs failed ones."""
    access_logger.debug(
        "%s %s",
        details.get("method"),
        details.get("path"),
        extra={
            "status": details.get("status"),
            "client": details.get("client"),
            "milliseconds": round(1000 * (details.get("time_taken") or 0), 1),
        },
    )
