# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared code of the agents of the ePIC Streaming Workflow Testbed.

Its modules: :mod:`settings` (environment), :mod:`logs` (JSON lines), :mod:`messages` (routing table
and envelope), :mod:`broker` (STOMP), :mod:`monitor` (REST), :mod:`agent` (the base class) and
:mod:`cli`.
"""

from importlib.metadata import version

__version__ = version("swf-common-lib")
