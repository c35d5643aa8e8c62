# SPDX-License-Identifier: GPL-3.0-or-later
"""The MCP agent as a process, with the SDK's own client and the real monitor."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.shared.exceptions import MCPError
from swf_common_lib.monitor import MonitorClient
from swf_common_lib.settings import MonitorSettings
from swf_common_lib.shutdown import Shutdown
from swf_common_lib.testing import MonitorProgram, Program, answers, free_port, wait_until

from swf_mcp_agent.agent import MAX_SESSIONS

TOOLS = {
    "testbed_status",
    "backlog",
    "list_agents",
    "get_agent",
    "list_runs",
    "get_run",
    "list_stf_files",
    "get_file",
    "recent_messages",
}


class Server(Program):
    def __init__(self, log: Path, env: dict[str, str], token: str) -> None:
        self.port = free_port()
        self.token = token
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        super().__init__(log, "swf-mcp-agent", "--port", str(self.port), "--name", "mcp", env=env)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, monitor: MonitorProgram) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("mcp") / "mcp.log"
    server = Server(log, {**monitor.env, "SWF_HEARTBEAT_INTERVAL": "0.5"}, monitor.token)
    server.start()
    server.wait_for_port(server.port)
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def client_of(server: Server, token: str) -> AsyncIterator[Client]:
    """An authenticated client."""
    logged_in = create_mcp_http_client(headers={"Authorization": f"Bearer {token}"})
    async with (
        logged_in,
        Client(streamable_http_client(server.url, http_client=logged_in)) as client,
    ):
        yield client


def call(server: Server, tool: str, **arguments: Any) -> Any:
    async def ask() -> Any:
        async with client_of(server, server.token) as client:
            return await client.call_tool(tool, arguments)

    return asyncio.run(ask())


def test_the_tools_return_the_data_of_the_monitor(server: Server, monitor: MonitorProgram) -> None:
    client = MonitorClient(MonitorSettings(monitor.url, monitor.token), Shutdown())
    run_id = client.create_run()
    for sequence in (1, 2):
        client.register_stf(
            filename=f"swf.{run_id:06d}.{sequence:06d}.stf",
            run_id=run_id,
            path="/data",
            size_bytes=1,
            checksum="sha256:" + "0" * 64,
            sequence=sequence,
        )
    client.update_stf(f"swf.{run_id:06d}.000002.stf", status="failed", reason="bad")

    async def ask() -> None:
        async with client_of(server, server.token) as client:
            tools = (await client.list_tools()).tools
            assert {tool.name for tool in tools} == TOOLS
            assert all(
                tool.description and tool.annotations and tool.annotations.read_only_hint
                for tool in tools
            )

    asyncio.run(ask())
    status = call(server, "testbed_status").structured_content
    assert status["summary"]["stf"]["total"] == 2
    assert status["health"]["database"]["ok"] is True
    assert [run["run_id"] for run in call(server, "list_runs").structured_content["result"]] == [
        run_id
    ]
    files = call(server, "list_stf_files", status="failed").structured_content["result"]
    assert [(file["filename"][-10:], file["reason"]) for file in files] == [("000002.stf", "bad")]
    assert (
        len(call(server, "list_stf_files", run_id=run_id, limit=1).structured_content["result"])
        == 1
    )
    assert call(server, "recent_messages", msg_type="stf_gen").structured_content["result"] == []
    agents = wait_until(lambda: call(server, "list_agents").structured_content["result"])
    assert [(agent["instance_name"], agent["status"]) for agent in agents] == [("mcp", "OK")]
    agent = call(server, "get_agent", instance_name="mcp").structured_content
    assert (agent["agent_type"], agent["status"]) == ("mcp", "OK")
    run = call(server, "get_run", run_id=run_id).structured_content
    assert run["run"]["run_id"] == run_id
    assert [file["reason"] for file in run["failed_files"]] == ["bad"]
    way = call(server, "get_file", filename=f"swf.{run_id:06d}.000002.stf").structured_content
    assert [step["name"] for step in way["steps"] if step["at"]] == ["registered", "failed"]
    backlog = call(server, "backlog").structured_content
    assert backlog["to_be_processed"]["files"] == 1
    assert backlog["to_be_processed"]["oldest"] == f"swf.{run_id:06d}.000001.stf"


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"limit": 1001}, {"status": "lost"}])
def test_wrong_arguments_are_refused(server: Server, arguments: dict[str, Any]) -> None:
    assert call(server, "list_stf_files", **arguments).is_error


def test_unknown_arguments_are_refused(server: Server) -> None:
    reply = call(server, "list_stf_files", stauts="failed")
    assert reply.is_error
    assert "stauts" in reply.content[0].text
    assert call(server, "backlog", limit=3).is_error


def test_an_unknown_object_is_an_error_with_the_cause(server: Server) -> None:
    for tool, arguments in (
        ("get_file", {"filename": "no.stf"}),
        ("get_file", {"filename": "../../api/health"}),
        ("get_run", {"run_id": 999999}),
        ("get_agent", {"instance_name": "no/body?x=1"}),
    ):
        reply = call(server, tool, **arguments)
        assert reply.is_error, tool
        assert "The monitor refused the request: " in reply.content[0].text, tool


def test_only_tools_are_advertised(server: Server) -> None:
    async def ask() -> None:
        async with client_of(server, server.token) as client:
            capabilities = client.server_capabilities
            assert capabilities
            assert capabilities.tools
            assert capabilities.prompts is None
            assert capabilities.resources is None
            for listing in (client.list_prompts, client.list_resources):
                with pytest.raises(MCPError, match="Method not found"):
                    await listing()
            for tool in (await client.list_tools()).tools:
                assert tool.input_schema["additionalProperties"] is False, tool.name

    asyncio.run(ask())
    status, _challenge, body = answer(server, "POST", "/mcp", f"Bearer {server.token}")
    assert status == 200
    assert b'"tools"' in body
    assert b'"prompts"' not in body
    assert b'"resources"' not in body


def test_the_number_of_sessions_has_a_limit(tmp_path: Path, monitor: MonitorProgram) -> None:
    server = Server(tmp_path / "mcp.log", monitor.env, monitor.token)
    server.start()
    server.wait_for_port(server.port)
    bearer = f"Bearer {server.token}"
    statuses = [answer(server, "POST", "/mcp", bearer)[0] for _ in range(MAX_SESSIONS + 1)]
    assert statuses == [200] * MAX_SESSIONS + [503]
    server.stop()


def test_the_client_gets_an_outage_of_the_monitor_as_an_error(
    server: Server, monitor: MonitorProgram
) -> None:
    monitor.stop()
    try:
        reply = call(server, "list_runs")
        assert reply.is_error
        assert "The monitor does not answer: Connection refused" in reply.content[0].text
    finally:
        monitor.start()
    assert not call(server, "list_runs").is_error
    assert monitor.token not in server.output


def test_a_signal_ends_it_also_with_a_connection_open(
    tmp_path: Path, monitor: MonitorProgram
) -> None:
    server = Server(tmp_path / "mcp.log", monitor.env, monitor.token)
    server.start()
    server.wait_for_port(server.port)
    ends: list[tuple[int, float]] = []

    async def stay() -> None:
        async with client_of(server, server.token) as client:
            await client.list_tools()
            began = time.monotonic()
            server.signal(signal.SIGTERM)
            ends.append((await asyncio.to_thread(server.wait), time.monotonic() - began))

    with socket.create_connection(("127.0.0.1", server.port)) as unfinished:
        unfinished.sendall(b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
        with contextlib.suppress(Exception):  # the client may complain of the lost server
            asyncio.run(stay())
    ((code, seconds),) = ends
    assert code == 0
    assert seconds < 5
    assert not answers(server.port)
    assert server.logs[-1]["finished_current_item"] is True


def test_a_port_in_use_is_one_line(server: Server, tmp_path: Path, monitor: MonitorProgram) -> None:
    second = Program(
        tmp_path / "second.log", "swf-mcp-agent", "--port", str(server.port), env=monitor.env
    )
    assert second.start().wait() == 2
    lines = [line for line in second.output.splitlines() if not line.startswith("{")]
    assert len(lines) == 1
    assert lines[0].endswith(f"cannot listen on 127.0.0.1:{server.port}: Address already in use")


INITIALIZE = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
)


def answer(
    server: Server, method: str, path: str, *authorization: str
) -> tuple[int, str | None, bytes]:
    """(status, WWW-Authenticate, body) of a request with these Authorization headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.putrequest(method, path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Accept", "application/json, text/event-stream")
        connection.putheader("Content-Length", str(len(INITIALIZE)))
        for value in authorization:
            connection.putheader("Authorization", value)
        connection.endheaders(INITIALIZE.encode())
        response = connection.getresponse()
        # A stream of events stays open.
        return response.status, response.headers["WWW-Authenticate"], response.read1()
    finally:
        connection.close()


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize("path", ["/mcp", "/", "/health"])
def test_every_request_needs_the_token(server: Server, method: str, path: str) -> None:
    token = server.token
    wrong = [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        ["Bearer " + "0" * 40],
        ["Bearer \xe9"],
        [token],
        [f"Token {token}"],
        [f"Basic {token}"],
        [f"Bearer {token[:-1]}"],
        [f"Bearer {token}0"],
        [f"Bearer {token}", "Bearer wrong"],
    ]
    for headers in wrong:
        status, challenge, body = answer(server, method, path, *headers)
        assert (status, challenge) == (401, 'Bearer realm="swf-testbed"'), headers
        assert body.startswith(b"401 Unauthorized: send the header Authorization"), headers
    assert server.token not in server.output


def test_the_token_lets_in_whatever_the_case_of_the_scheme(server: Server) -> None:
    for scheme in ("Bearer", "bearer"):
        assert answer(server, "POST", "/mcp", f"{scheme} {server.token}")[0] == 200
    assert answer(server, "GET", "/nowhere", f"Bearer {server.token}")[0] == 404


def test_a_client_without_the_token_calls_no_tool(server: Server) -> None:
    async def ask() -> None:
        async with client_of(server, "0" * 40) as client:
            await client.call_tool("recent_messages", {})

    with pytest.raises(BaseException):  # noqa: B017, PT011  the SDK's own, in groups
        asyncio.run(ask())


def test_a_request_for_another_host_is_refused(server: Server) -> None:
    """A web page must not reach it by a name of its own that resolves to this address."""
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(
            b"POST /mcp HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + server.token.encode() + b"\r\n"
            b"Accept: application/json, text/event-stream\r\nContent-Length: 2\r\nConnection: "
            b"close\r\n\r\n{}"
        )
        assert b" 421 " in sock.recv(1000).splitlines()[0]
