# SPDX-License-Identifier: GPL-3.0-or-later
"""Monitor of the ePIC Streaming Workflow Testbed."""

from importlib.metadata import version

__version__ = version("swf-monitor")
