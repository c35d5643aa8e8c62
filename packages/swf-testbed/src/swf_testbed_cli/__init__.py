# SPDX-License-Identifier: GPL-3.0-or-later
"""The ePIC Streaming Workflow Testbed: its command line."""

from importlib.metadata import version

__version__ = version("swf-testbed")
