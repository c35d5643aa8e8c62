# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools for MCP clients. All of them are read-only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from swf_common_lib.monitor import MonitorError, MonitorResponseError

from swf_mcp_agent import __version__
from swf_mcp_agent.questions import Questions
from swf_mcp_agent.strict import only_tools, read_only_tool

T = TypeVar("T")
Row = dict[str, Any]
Limit = Annotated[int, Field(ge=1, le=1000, description="Maximum number, newest first")]
Status = Literal["registered", "processing", "processed", "failed"]
RunId = Annotated[int, Field(ge=1, description="Number of the run")]
Name = Annotated[str, Field(min_length=1, max_length=255)]


def make_server(monitor: Questions) -> MCPServer[Any]:
    """The MCP server.

    :param monitor: the source of the data; it should not be patient, so that a client gets an
        error during an outage
    """
    return MCPServer(
        "swf-testbed",
        version=__version__,
        instructions="Reports the state of the ePIC Streaming Workflow Testbed: runs, files, "
        "agents, messages. Start with testbed_status; backlog has the files that wait, and get_file "
        "the way of one file.",
        tools=[read_only_tool(function) for function in _functions(monitor)],
        middleware=[only_tools],
    )


def _functions(monitor: Questions) -> list[Callable[..., Any]]:
    """The tools. Their names, arguments and descriptions are those of the functions."""

    def testbed_status() -> Row:
        """Whether the testbed is healthy: the monitor's health report, and the numbers of runs, STF
        files and messages."""
        return {"health": _ask(monitor.health), "summary": _ask(monitor.summary)}

    def backlog() -> Row:
        """The numbers of STF files that wait to be processed, are being processed, or wait to be
        sampled, and the oldest one of each."""
        return _ask(monitor.backlog)

    def list_agents() -> list[Row]:
        """All agents: type, status, host, version, time of the last heartbeat."""
        return _ask(monitor.agents)

    def get_agent(instance_name: Name) -> Row:
        """One agent: type, status, host, process, version, start, last heartbeat and its interval."""
        return _ask(lambda: monitor.agent(instance_name))

    def list_runs(limit: Limit = 20) -> list[Row]:
        """Data-taking runs: status, start, end, number of files."""
        return _ask(lambda: monitor.runs(limit=limit))

    def get_run(run_id: RunId) -> Row:
        """One run, and its failed files with their reasons."""
        run = _ask(lambda: monitor.run(run_id))
        failed = _ask(lambda: monitor.stf_files(run_id=run_id, status="failed", limit=100))
        return {"run": run, "failed_files": failed}

    def list_stf_files(
        status: Status | None = None, run_id: int | None = None, limit: Limit = 50
    ) -> list[Row]:
        """STF files: status, reason of a failure, size, checksum; optionally of one status or one
        run."""
        return _ask(lambda: monitor.stf_files(status=status, run_id=run_id, limit=limit))

    def get_file(filename: Name) -> Row:
        """One STF file: its way through the pipeline with the time and the program of each step, its
        time frames, and the messages about it."""
        return _ask(lambda: monitor.stf_history(filename))

    def recent_messages(msg_type: str | None = None, limit: Limit = 50) -> list[Row]:
        """The newest messages between the agents; optionally of one type, e.g. stf_ready."""
        return _ask(lambda: monitor.messages(msg_type=msg_type, limit=limit))

    return [
        testbed_status,
        backlog,
        list_agents,
        get_agent,
        list_runs,
        get_run,
        list_stf_files,
        get_file,
        recent_messages,
    ]


def _ask(question: Callable[[], T]) -> T:
    try:
        return question()
    except MonitorResponseError as error:
        raise ToolError(f"The monitor refused the request: {error.detail}") from None
    except MonitorError as error:
        raise ToolError(f"The monitor does not answer: {error}") from None
