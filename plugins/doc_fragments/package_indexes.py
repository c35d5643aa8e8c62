# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  indexes:
    description: The indexes, as in O(bnlnpps.swf_testbed.pip_index#role:pip_indexes).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the index.
        type: str
        required: true
      preset:
        description: Kind of server.
        type: str
        choices: [artifactory, devpi, directory, gitlab, nexus, pulp, pypi, pypiserver, simple, testpypi, github]
      url:
        description: The index's simple API, without credentials.
        type: str
      upload_url:
        description: Where the index takes uploads. Most presets know it.
        type: str
      username:
        description: User who may look and upload.
        type: str
      token:
        description: Password or token.
        type: str
      packages:
        description: Patterns of the names that come from this index only.
        type: list
        elements: str
        default: []
      role:
        description: Whether the index serves what no other claims.
        type: str
        choices: [primary, extra]
      ca_cert:
        description: Certificate, on the controller, of the CA of the index.
        type: path
      allow_unsafe_extra_index:
        description: Whether the index may be a plain extra index.
        type: bool
        default: false
"""
