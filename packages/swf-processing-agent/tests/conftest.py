# SPDX-License-Identifier: GPL-3.0-or-later
"""A broker per test, one monitor for all tests."""

from swf_common_lib.fixtures import broker, monitor

__all__ = ["broker", "monitor"]
