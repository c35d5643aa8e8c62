# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  services:
    description: Servers that the instance runs for itself. The module starts those that do not run
      when it needs them, and stops these at its end.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the program in O(config).
        type: str
        required: true
      ready:
        description: Command line that exits with 0 while the server accepts connections.
        type: str
        required: true
"""
