# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  root:
    description: Directory of the instance that holds C(tools), C(releases), C(current) and
      C(previous).
    type: path
    required: true
  files:
    description: Paths of the configuration files that belong to a release, C(supervisord.conf)
      first, then the unit if there is one, then those of the stack, which are next to the first one.
      Files with secrets do not belong here.
    type: list
    elements: path
"""

    # of the modules that remove old releases
    KEEP = r"""
options:
  keep:
    description: Number of releases to keep. The active release, the previous one, and the one that
      C(supervisord.conf) names are kept in any case.
    type: int
    default: 3
"""
