#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wheelhouse
short_description: Put every file of a lock into one archive, for hosts without a way to an index
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Fetches what the lock of a release and the lock of the tools name, each with its hash, for all
    Pythons and architectures that are given, and puts it into one tar archive. Each name is asked
    for at the one index that it belongs to.
  - Runs on the controller alone. The lock is made first where there is none, as
    M(bnlnpps.swf_testbed.release) does.
  - An archive that was made from the same locks, for the same Pythons and architectures, is left as
    it is.
options:
  dest:
    description: Path of the archive.
    type: path
    required: true
  pythons:
    description: Versions of CPython on the hosts, such as V(3.11).
    type: list
    elements: str
    required: true
  architectures:
    description: Architectures of the hosts, as C(uname -m) says them.
    type: list
    elements: str
    default: [x86_64]
  glibc:
    description: Oldest C library among the hosts.
    type: str
    default: "2.34"
  requirements:
    description: What is locked when O(lock_file) does not exist.
    type: list
    elements: str
    default: []
  lock_file:
    description: Path of the lock of the release.
    type: path
    required: true
  constraints_file:
    description: Path of constraints for a lock that is to be made.
    type: path
  tools_lock_file:
    description: Path of the lock of the tools.
    type: path
    required: true
  min_python:
    description: Oldest Python that a lock that is to be made must hold for.
    type: str
    default: "3.10"
  indexes:
    description: The indexes, as in
      O(bnlnpps.swf_testbed.common#role:variables:swf_testbed_pip_indexes), with their logins.
    default: []
extends_documentation_fragment:
  - bnlnpps.swf_testbed.package_indexes
attributes:
  check_mode:
    support: full
    description: Says whether an archive would be made, and makes none.
  diff_mode:
    support: none
    description: There is nothing to show.
  action:
    support: full
    description: It is an action. No host is touched.
"""

EXAMPLES = r"""
- name: Put all that a release takes into one archive
  bnlnpps.swf_testbed.wheelhouse:
    dest: "{{ inventory_dir }}/wheelhouse-0.1.0.tar"
    pythons: ["3.11", "3.13"]
    lock_file: "{{ inventory_dir }}/locks/swf-testbed-0.1.0.txt"
    tools_lock_file: "{{ role_path }}/files/tools.txt"
    indexes_of: swf_testbed_pip_indexes
"""

RETURN = r"""
dest:
  description: Path of the archive.
  returned: always
  type: str
  sample: /home/me/wheelhouse-0.1.0.tar
files:
  description: How many files are in it.
  returned: always
  type: int
  sample: 81
"""
