# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  manifest:
    description:
      - The manifest in which the module lists each object before it creates it.
        M(bnlnpps.swf_testbed.instance) removes only the listed entries.
      - Files and accounts that existed before, and are in no manifest, are not listed.
    type: dict
    suboptions:
      instance:
        description: Name of the instance that owns the manifest. Required, unless
          O(manifest.service) is set.
        type: str
      scope:
        description: Scope of the instance.
        type: str
        choices: [user, system]
        default: user
      service:
        description: Name of the service that owns the manifest, instead of an instance.
        type: str
      role:
        description: Name of the role that creates the entries, for the manifest.
        type: str
      entries:
        description:
          - Additional entries for objects that other modules create, such as accounts. Each has
            C(kind), C(path) or C(name), and C(uninstall), which is V(always), V(data) (removed only
            with the data), V(empty) (a directory that is removed once it is empty) or V(never).
        type: list
        elements: dict
        default: []
      users:
        description: Users of this instance or service, each as V(INSTANCE@HOST/SCOPE). It is
          removed with its last user.
        type: list
        elements: str
        default: []
      collection:
        description: Version of the collection, for the manifest. Set by the action. Not for use in
          a playbook.
        type: str
"""
