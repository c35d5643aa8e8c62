# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client may rely on: unknown arguments are refused, and only tools are advertised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND, ToolAnnotations

# The SDK has handlers for these even if a server has none of them.
ABSENT = ("prompts", "resources")
_READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)


def read_only_tool(function: Callable[..., Any]) -> Tool:
    """A tool that changes nothing, and refuses unknown arguments: an ignored filter would give rows
    that nobody asked for."""
    tool = Tool.from_function(function, annotations=_READ_ONLY)
    model = tool.fn_metadata.arg_model
    model.model_config["extra"] = "forbid"
    model.model_rebuild(force=True)
    tool.parameters = model.model_json_schema(by_alias=True)
    return tool


async def only_tools(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware of the SDK: this server has neither prompts nor resources, so it does not say that
    it has."""
    if ctx.method.partition("/")[0] in ABSENT:
        raise MCPError(METHOD_NOT_FOUND, "Method not found", ctx.method)
    result = await call_next(ctx)
    if isinstance(result, dict) and isinstance(result.get("capabilities"), dict):
        capabilities = {k: v for k, v in result["capabilities"].items() if k not in ABSENT}
        return {**result, "capabilities": capabilities}
    return result
