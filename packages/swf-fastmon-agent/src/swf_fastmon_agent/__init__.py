# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples time frames of the STF files of the ePIC Streaming Workflow Testbed for fast
monitoring."""

from importlib.metadata import version

__version__ = version("swf-fastmon-agent")
