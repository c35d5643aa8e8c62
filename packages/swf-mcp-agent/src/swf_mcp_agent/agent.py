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
from swf_common_lib.monitor import MonitorClient
from swf_common_lib.settings import AgentSettings, Environment

from swf_mcp_agent import __version__
from swf_mcp_agent.login import with_login
from swf_mcp_agent.tools import make_server

logger = logging.getLogger(__name__)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8003


class McpAgent(BaseAgent):
    """Answers MCP clients from the monitor's REST API, at http://<host>:<port>/mcp.

    A client logs in with the token that the agent has for the monitor. It would travel in the
    clear, so the default is the loopback interface.

    :param settings: what all agents need
    :param host: address to listen at
    :param port: port to listen at
    """

    agent_type = "mcp"
    description = "Serves the testbed's state to MCP clients."
    version = __version__
    uses_broker = False
    options = (
        Option("--host", "SWF_MCP_HOST", f"address to listen at ({DEFAULT_HOST})"),
        Option("--port", "SWF_MCP_PORT", f"port to listen at ({DEFAULT_PORT})"),
    )

    def __init__(
        self, settings: AgentSettings, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT
    ) -> None:
        super().__init__(settings)
        self._host = host
        self._port = port

    @classmethod
    def from_environment(cls, env: Environment) -> McpAgent:
        """Make the agent.

        :raises ConfigurationError: a variable is wrong
        """
        settings = AgentSettings.from_environment(cls.agent_type, env)
        return cls(
            settings,
            host=env.text("SWF_MCP_HOST", DEFAULT_HOST),
            port=env.port("SWF_MCP_PORT", DEFAULT_PORT),
        )

    def work(self) -> None:
        """Serve until the agent is to stop.

        :raises FatalError: the port cannot be had
        """
        listener = self._listen()
        monitor = MonitorClient(self.settings.monitor, self.shutdown, patient=False)
        app = make_server(monitor).streamable_http_app(host=self._host)
        guarded = with_login(app, self.settings.monitor.token)
        # uvicorn takes over no signals in a thread that is not the main one.
        # Streams that are still open after a second are cut.
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
            # Not the error's own text: some Pythons tell the address in it once more.
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise FatalError(f"cannot listen at {self._host}:{self._port}: {reason}") from None

    def _stop_when_asked(self, server: uvicorn.Server) -> None:
        self.shutdown.wait()
        server.should_exit = True
