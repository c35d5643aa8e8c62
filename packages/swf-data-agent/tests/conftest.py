# SPDX-License-Identifier: GPL-3.0-or-later
"""A broker for each test, one monitor for all."""

from swf_common_lib.fixtures import broker, monitor

__all__ = ["broker", "monitor"]
