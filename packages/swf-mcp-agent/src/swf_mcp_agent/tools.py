# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools for MCP clients. All of them are read-only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field
from swf_common_lib.monitor import MonitorClient, MonitorError

from swf_mcp_agent import __version__

T = TypeVar("T")
Row = dict[str, Any]
Limit = Annotated[int, Field(ge=1, le=1000, description="Maximum number, newest first")]
Status = Literal["registered", "processing", "processed", "failed"]

_READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)


def make_server(monitor: MonitorClient) -> MCPServer[Any]:
    """The MCP server.

    :param monitor: the source of the data; it should not be patient, so that a client gets an
        error during an outage
    """
    server: MCPServer[Any] = MCPServer(
        "swf-testbed",
        version=__version__,
        instructions="Reports the state of the ePIC Streaming Workflow Testbed: runs, files, "
        "agents, messages.",
    )

    @server.tool(annotations=_READ_ONLY)
    def testbed_status() -> Row:
        """Whether the testbed is healthy: the monitor's health report, and the numbers of runs, STF
        files and messages."""
        return {"health": _ask(monitor.health), "summary": _ask(monitor.summary)}

    @server.tool(annotations=_READ_ONLY)
    def list_agents() -> list[Row]:
        """All agents: type, status, host, version, time of the last heartbeat."""
        return _ask(monitor.agents)

    @server.tool(annotations=_READ_ONLY)
    def list_runs(limit: Limit = 20) -> list[Row]:
        """Data-taking runs: status, start, end, number of files."""
        return _ask(lambda: monitor.runs(limit=limit))

    @server.tool(annotations=_READ_ONLY)
    def list_stf_files(
        status: Status | None = None, run_id: int | None = None, limit: Limit = 50
    ) -> list[Row]:
        """STF files: status, reason of a failure, size, checksum; optionally of one status or one
        run."""
        return _ask(lambda: monitor.stf_files(status=status, run_id=run_id, limit=limit))

    @server.tool(annotations=_READ_ONLY)
    def recent_messages(msg_type: str | None = None, limit: Limit = 50) -> list[Row]:
        """The newest messages between the agents; optionally of one type, e.g. stf_ready."""
        return _ask(lambda: monitor.messages(msg_type=msg_type, limit=limit))

    return server


def _ask(question: Callable[[], T]) -> T:
    try:
        return question()
    except MonitorError as error:
        raise ToolError(f"The monitor does not answer: {error}") from None
