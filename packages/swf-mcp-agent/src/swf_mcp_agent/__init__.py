# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves the state of the ePIC Streaming Workflow Testbed to MCP clients."""

from importlib.metadata import version

__version__ = version("swf-mcp-agent")
