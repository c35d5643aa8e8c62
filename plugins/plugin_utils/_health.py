# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on a testbed, in the reports for all hosts."""

from __future__ import annotations

HEALTHY = "The testbed is healthy."
NOT_CHECKED = (
    "The testbed is running; health not checked: there is no health page and no probe for these "
    "hosts."
)
