# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers the STF files of the ePIC Streaming Workflow Testbed and forwards them."""

from importlib.metadata import version

__version__ = version("swf-data-agent")
