# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  index:
    description: Name of the index of O(indexes) to use. The default is the private one, that is the
      one that claims names and is neither PyPI nor TestPyPI.
    type: str
  sources:
    description: Directories with a C(pyproject.toml).
    type: list
    elements: path
    default: []
  repositories:
    description: Git repositories with a C(pyproject.toml), cloned for the duration of the run.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: An https, ssh or file address, without credentials.
        type: str
        required: true
      ref:
        description: Branch, tag or commit. The default is the repository's default branch.
        type: str
      subdirectory:
        description: Directory of C(pyproject.toml) in the repository.
        type: str
      username:
        description: User name for O(repositories[].token). GitHub and GitLab accept any.
        type: str
      token:
        description: Token with read permission on the repository, for https. It is passed to git in
          a file that only this login can read.
        type: str
      ca_cert:
        description: CA certificate of the git server, if the controller does not trust it.
        type: path
  repositories_of:
    description: Name of the variable with O(repositories), so that the arguments of the task do not
      contain their tokens.
    type: str
"""
