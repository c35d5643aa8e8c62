# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # A module adds its own properties to the option, such as required or a default.
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
          - Type of the server. It determines the form of its addresses and the meaning of its
            answers.
          - The default is V(pypi) for an index without O(indexes[].url), and V(simple) otherwise.
        type: str
        choices: [artifactory, devpi, directory, github, gitlab, nexus, pulp, pypi, pypiserver,
          simple, testpypi]
      url:
        description:
          - The index's simple API, without credentials; for V(directory) the path of the directory.
          - An index without it is PyPI, or the mirror in the machine's pip configuration.
        type: str
      upload_url:
        description: The upload address of the index. Most presets derive it.
        type: str
      username:
        description: Name of a user with permission to read, and to upload if packages are
          published.
        type: str
      token:
        description: Password or token of that user.
        type: str
      packages:
        description: Shell patterns of the names that come only from this index.
        type: list
        elements: str
        default: []
      role:
        description:
          - V(primary) for the index that serves all names that no other claims.
          - The default is V(extra) with O(indexes[].packages), and V(primary) without.
        type: str
        choices: [primary, extra]
      ca_cert:
        description: Path, on the machine that uses the index, of the trusted CA certificates for
          it.
        type: path
      allow_unsafe_extra_index:
        description: Whether the index may be an extra one that claims no names, so that its
          packages can replace others.
        type: bool
        default: false
      allow_insecure_http:
        description: Whether O(indexes[].url) and O(indexes[].upload_url) may be plain http on
          another machine. The token is then sent unencrypted.
        type: bool
        default: false
  indexes_of:
    description:
      - Name of the variable with O(indexes), as C(swf_testbed_pip_indexes). The variable is read
        when the task runs.
      - Callback plugins see the tokens of O(indexes) in the arguments of a task, but not those of a
        named variable.
    type: str
attributes:
  action:
    support: full
    description: Has a corresponding action plugin, which reads the variables that the task names.
"""
