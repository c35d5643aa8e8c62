#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wheelhouse
short_description: Collect the packages of a release in one archive, for air-gapped hosts
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Downloads the packages of the lock of a release and of the lock of the tools, each with its
    hash, for all O(pythons) and O(architectures), into one tar archive. Each name is requested from
    its own index only. The wheels and source trees that are made from O(repositories) and
    O(build_from_source) are part of the archive.
  - Runs on the controller only. If there is no lock, it is made first, as by
    M(bnlnpps.swf_testbed.release_build).
  - An archive from the same locks, for the same Pythons and architectures, is not made again.
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
    description: Architectures of the hosts, as C(uname -m) prints them.
    type: list
    elements: str
    default: [x86_64]
  glibc:
    description: Oldest C library among the hosts.
    type: str
    default: "2.34"
  tools_lock_file:
    description: Path of the lock of the tools.
    type: path
    required: true
  indexes:
    description: The indexes, as in
      O(bnlnpps.swf_testbed.common#role:variables:swf_testbed_pip_indexes), with their logins.
    default: []
extends_documentation_fragment:
  - bnlnpps.swf_testbed.release_inputs
  - bnlnpps.swf_testbed.package_indexes
attributes:
  check_mode:
    support: full
    description: Predicts whether an archive would be made.
  diff_mode:
    support: none
    description: There is nothing to show.
  action:
    support: full
    description: It is an action. No host is touched.
"""

EXAMPLES = r"""
- name: Collect all packages of a release in one archive
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
  description: Number of files in it.
  returned: always
  type: int
  sample: 81
"""
