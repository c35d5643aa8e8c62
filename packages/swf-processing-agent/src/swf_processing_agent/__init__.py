# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes the STF files of the ePIC Streaming Workflow Testbed and verifies their checksums."""

from importlib.metadata import version

__version__ = version("swf-processing-agent")
