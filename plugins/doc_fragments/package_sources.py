# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  sources:
    description: Folders with a C(pyproject.toml).
    type: list
    elements: path
    default: []
  repositories:
    description: Git repositories with a C(pyproject.toml), cloned for the time of the run.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: An https, ssh or file address, without credentials.
        type: str
        required: true
      ref:
        description: Branch, tag or commit. Unset, it is the repository's default branch.
        type: str
      subdirectory:
        description: Folder of C(pyproject.toml) in the repository.
        type: str
      username:
        description: User name that goes with O(repositories[].token). GitHub and GitLab take any.
        type: str
      token:
        description: Token that may read the repository, for https. It is handed to git in a file
          that only this login can read.
        type: str
      ca_cert:
        description: Certificate of the CA of the git server, if it is not one of the controller's.
        type: path
  repositories_of:
    description: Name of the variable with O(repositories), in the place of these, so that the task
      does not carry their tokens.
    type: str
"""
