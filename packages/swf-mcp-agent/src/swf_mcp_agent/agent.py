# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves MCP over streamable HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading

import uvicorn
from swf_common_lib.agent import BaseAgent, FatalError
from swf_common_lib.cli import Option
from swf_common_lib.settings import AgentSettings, Environment

from swf_mcp_agent import __version__
from swf_mcp_agent.login import with_login
from swf_mcp_agent.questions import Questions
from swf_mcp_agent.tools import make_server

logger = logging.getLogger(__name__)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8003
# Open sessions of clients; a further one gets 503. A client that went away without a word keeps its
# session for this time (s).
MAX_SESSIONS = 100
IDLE_SECONDS = 600.0


class McpAgent(BaseAgent):
    """Serves the data of the monitor's REST API to MCP clients, at http://<host>:<port>/mcp.

    A client authenticates with the agent's token for the monitor. It is not encrypted, so the
    default is the loopback interface.

    :param settings: the settings of every agent
    :param host: address to listen on
    :param port: port to listen on
    """

    agent_type = "mcp"
    description = "Serves the testbed's state to MCP clients."
    version = __version__
    uses_broker = False
    options = (
        Option("--host", "SWF_MCP_HOST", f"address to listen on ({DEFAULT_HOST})"),
        Option("--port", "SWF_MCP_PORT", f"port to listen on ({DEFAULT_PORT})"),
    )

    def __init__(
        self, settings: AgentSettings, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT
    ) -> None:
        super().__init__(settings)
        self._host = host
        self._port = port

    @classmethod
    def from_environment(cls, env: Environment) -> McpAgent:
        """Create the agent.

        :raises ConfigurationError: a variable is wrong
        """
        settings = AgentSettings.from_environment(cls.agent_type, env)
        return cls(
            settings,
            host=env.text("SWF_MCP_HOST", DEFAULT_HOST),
            port=env.port("SWF_MCP_PORT", DEFAULT_PORT),
        )

    def work(self) -> None:
        """Serve until the agent stops.

        :raises FatalError: it cannot listen on the port
        """
        listener = self._listen()
        monitor = Questions(self.settings.monitor, self.shutdown, patient=False)
        app = make_server(monitor).streamable_http_app(
            host=self._host, max_sessions=MAX_SESSIONS, session_idle_timeout=IDLE_SECONDS
        )
        guarded = with_login(app, self.settings.monitor.token)
        # uvicorn handles signals in the main thread only, which is not this one.
        # It closes streams that are still open after a second.
        config = uvicorn.Config(
            guarded, log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        threading.Thread(
            target=self._stop_when_asked, args=(server,), name="stop", daemon=True
        ).start()
        logger.info("serving MCP", extra={"url": f"http://{self._host}:{self._port}/mcp"})
        asyncio.run(server.serve(sockets=[listener]))

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            return socket.create_server((self._host, self._port), family=family)
        except OSError as error:
            # Not the text of the error: in some Pythons, it repeats the address.
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise FatalError(f"cannot listen on {self._host}:{self._port}: {reason}") from None

    def _stop_when_asked(self, server: uvicorn.Server) -> None:
        self.shutdown.wait()
        server.should_exit = True
