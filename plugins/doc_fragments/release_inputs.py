# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  requirements:
    description: Requirements to lock when O(lock_file) does not exist, for example
      V(swf-testbed==0.1.0).
    type: list
    elements: str
    default: []
  requirement_files:
    description: Files of O(repositories) with further requirements for a new lock.
    type: list
    elements: dict
    default: []
    suboptions:
      source:
        description: O(repositories[].name) of the repository.
        type: str
        required: true
      path:
        description: Path of the file in the repository.
        type: str
        required: true
  constraints:
    description: Constraints for a new lock, in addition to those of O(constraints_file).
    type: list
    elements: str
    default: []
  constraints_file:
    description: Path on the controller of constraints (exact versions) for a new lock.
    type: path
  build_from_source:
    description: Distributions of which an index has no wheel. They are built once on the controller,
      as wheels for all platforms, and sent to the hosts. All others must have a wheel.
    type: list
    elements: str
    default: []
  lock_file:
    description: Path of the lock on the controller.
    type: path
    required: true
  locks_dir:
    description: Directory on the controller to which O(keep_locks) applies, if O(lock_file) is in
      it. A lock elsewhere is never removed.
    type: path
  keep_locks:
    description: Number of locks that this module made to keep in O(locks_dir), and number of
      directories of wheels to keep in O(wheels_dir). The least recently used ones are removed. A
      lock that is needed again is made again, with the versions of that day.
    type: int
    default: 50
  min_python:
    description: Oldest Python that a new lock must support. It supports all later ones, too.
    type: str
    default: "3.10"
  lock_pythons:
    description: Versions of Python that a new lock must support, such as V(3.11), instead of all
      from O(min_python) on.
    type: list
    elements: str
    default: []
  lock_architectures:
    description: Architectures that a new lock must support, as C(uname -m) prints them. Without
      any, it supports all. A lock is always for CPython on Linux.
    type: list
    elements: str
    default: []
  repositories:
    description:
      - Components that are installed from git instead of an index. They are built once on the
        controller and sent to the hosts as wheels and source trees, so that no host needs git or a
        token.
      - Their names are read from the built wheels. They are installed from no other source,
        whatever O(indexes) claim.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: Address of the repository, https without credentials, or ssh.
        type: str
        required: true
      commit:
        description: The full id of a commit. Branches and tags are refused, since they move.
        type: str
        required: true
      subdirectory:
        description: Directory of the package in the repository.
        type: str
      name:
        description: Name of the distribution, and of the directory of the source tree. Without it,
          the repository cannot have a source tree.
        type: str
      install:
        description: V(wheel) installs the distribution. V(tree) stores the files of the commit in
          the release, with compiled bytecode. The default is V([wheel]).
        type: list
        elements: str
        choices: [wheel, tree]
  repositories_of:
    description: Name of the variable with O(repositories), instead of O(repositories). An empty
      name stands for no repositories.
    type: str
  git_username:
    description: User name for repositories over https. The default suits GitHub.
    type: str
  git_token:
    description: Token for repositories over https. It stays on the controller.
    type: str
  git_token_of:
    description: Name of the variable with O(git_token), so that the task does not contain it.
    type: str
  git_ca_cert:
    description: Path on the controller of CA certificates for repositories over https.
    type: path
  wheels_dir:
    description: Directory on the controller for built wheels and source trees. Required with
      O(repositories) and O(build_from_source).
    type: path
"""
