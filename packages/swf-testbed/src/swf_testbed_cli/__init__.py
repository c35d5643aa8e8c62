# SPDX-License-Identifier: GPL-3.0-or-later
"""The ePIC Streaming Workflow Testbed: its command line and embedded broker."""

from importlib.metadata import version

__version__ = version("swf-testbed")
