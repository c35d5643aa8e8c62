# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of database_backup: reads the password from the variable that the task names."""

from __future__ import annotations

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._named_values import (
    ActionWithNames,
)


class ActionModule(ActionWithNames):
    NAMED = ("password",)
