# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a fact was set in this run of Ansible."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._run import is_of_this_run


class TestModule:
    def tests(self) -> dict[str, Callable[..., bool]]:
        return {"of_this_run": is_of_this_run}
