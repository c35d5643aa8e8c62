# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # A module adds to the option what it has of its own, such as required or a default.
    DOCUMENTATION = r"""
options:
  indexes:
    description: The indexes, as in
      O(bnlnpps.swf_testbed.common#role:variables:swf_testbed_pip_indexes).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the index.
        type: str
        required: true
      preset:
        description:
          - Kind of the server. What its addresses look like and what its answers mean depends on
            it.
          - The default is V(pypi) for an index without O(indexes[].url), and V(simple) otherwise.
        type: str
        choices: [artifactory, devpi, directory, github, gitlab, nexus, pulp, pypi, pypiserver,
          simple, testpypi]
      url:
        description:
          - The index's simple API, without credentials; for V(directory) the path of the directory.
          - An index without it is PyPI, or the mirror that the machine is set up for.
        type: str
      upload_url:
        description: Where the index takes uploads. Most presets know it.
        type: str
      username:
        description: Name of the user who may read, and upload where packages are published.
        type: str
      token:
        description: Password or token of that user.
        type: str
      packages:
        description: Shell patterns of the names that come from this index and no other.
        type: list
        elements: str
        default: []
      role:
        description:
          - V(primary) for the index that serves every name that no other claims.
          - The default is V(extra) with O(indexes[].packages), and V(primary) without.
        type: str
        choices: [primary, extra]
      ca_cert:
        description: Path, on the machine that asks the index, of the CA certificates that the index
          is trusted with.
        type: path
      allow_unsafe_extra_index:
        description: Whether the index may be an extra one that claims no names, where anybody could
          publish them.
        type: bool
        default: false
  indexes_of:
    description:
      - Name of the variable with O(indexes), as C(swf_testbed_pip_indexes). The variable is read
        when the task runs.
      - A task that carries O(indexes) shows their tokens to every callback plugin; one that names
        the variable does not.
    type: str
"""
