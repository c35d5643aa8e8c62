# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulates the data acquisition of the ePIC Streaming Workflow Testbed: runs and STF files."""

from importlib.metadata import version

__version__ = version("swf-daqsim-agent")
