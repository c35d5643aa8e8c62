#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Build a release from a lock, beside the live one, and activate it
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - A release is a virtual environment built from a lock, a requirements file with exact versions and hashes.
    Its id is the version and a hash of the lock, so that it is the same on every host.
  - The lock is a file on the controller. Where it does not exist, it is made there once with C(uv) and kept, so that all
    hosts, and all later runs, install the same files.
  - Each name is asked for at one index only, the one that claims it in O(indexes[].packages). A lock in which a claimed name
    came from anywhere else is refused.
  - A release counts as built once its programs import and its dependencies are whole. What a run that was cut off left
    behind is replaced.
options:
  state:
    description:
      - V(built) builds the release and the tools environment and activates nothing.
      - V(active) lets C(current) name the release O(id), by one atomic rename.
    type: str
    choices: [built, active]
    default: built
  root:
    description: Directory of the instance that holds C(tools), C(releases) and C(current).
    type: path
    required: true
  id:
    description: The release to activate. Required with O(state=active).
    type: str
  version:
    description: First part of the release's id. Required with O(state=built).
    type: str
  requirements:
    description: What is locked when O(lock_file) does not exist, for example V(swf-testbed==0.1.0).
    type: list
    elements: str
    default: []
  lock_file:
    description: Path of the lock on the controller. Required with O(state=built).
    type: path
  constraints_file:
    description: Path on the controller of constraints (exact versions) for a lock that is to be made.
    type: path
  tools_lock_file:
    description: Path on the controller of the lock of the tools environment. Required with O(state=built).
    type: path
  min_python:
    description: Oldest Python that a lock that is to be made must hold for.
    type: str
    default: "3.10"
  python:
    description: Name or path of the Python on the host.
    type: str
    default: python3
  indexes:
    description:
      - The indexes to install from, as in O(bnlnpps.swf_testbed.pip_index#role:main:pip_indexes).
      - The logins and O(indexes[].ca_cert) are for a lock that is to be made. They stay on the controller.
    default: []
  repositories:
    description:
      - Components that come from git instead of an index. They are built once on the controller and sent to the hosts as wheels,
        so that no host needs git or a token.
      - What they are called is read from what was built. They come from nowhere else, whatever O(indexes) claim.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: Address of the repository, https without credentials, or ssh.
        type: str
        required: true
      commit:
        description: The full id of a commit. Branches and tags are refused, they move.
        type: str
        required: true
      subdirectory:
        description: Where in the repository the package is.
        type: str
  git_username:
    description: User name for repositories over https. The default suits GitHub.
    type: str
  git_token:
    description: Token for repositories over https. It stays on the controller.
    type: str
  git_ca_cert:
    description: Path on the controller of CA certificates for repositories over https.
    type: path
  wheels_dir:
    description: Directory on the controller in which wheels that were built are kept. Required with O(repositories).
    type: path
  wheels:
    description: Path on the host of the archive with the wheels. Set by the action. Not for use in a playbook.
    type: path
  access_dir:
    description:
      - Directory on the host with C(netrc), the credentials of the indexes, and C(<name>.pem), their CA certificates.
      - The role P(bnlnpps.swf_testbed.pip_index#role) places it.
    type: path
  installer:
    description: V(auto) takes uv where there is one, and pip elsewhere.
    type: str
    choices: [auto, uv, pip]
    default: auto
  smoke:
    description: Packages whose console scripts must import before the release counts as built.
    type: list
    elements: str
    default: []
  lock:
    description: Text of the lock. Set by the action. Not for use in a playbook.
    type: str
  tools_lock:
    description: Text of the lock of the tools. Set by the action. Not for use in a playbook.
    type: str
extends_documentation_fragment:
  - bnlnpps.swf_testbed.package_indexes
attributes:
  check_mode:
    support: full
    description: Predicts what would be built or activated. A lock that does not exist is not made, and its id is not known.
  diff_mode:
    support: full
    description: Shows which packages differ from the active release.
"""

EXAMPLES = r"""
- name: Build the release
  bnlnpps.swf_testbed.release:
    root: /opt/swf-testbed
    version: 0.1.0
    requirements: [swf-testbed==0.1.0]
    lock_file: "{{ inventory_dir }}/locks/swf-testbed-0.1.0.txt"
    tools_lock_file: "{{ role_path }}/files/tools.txt"
    indexes:
      - name: lab
        url: https://index.example.org/simple/
        packages: ["swf-*"]
        username: reader
        token: "{{ vault_index_token }}"
      - name: pypi
    access_dir: /etc/swf-testbed/pip
  register: release

- name: Activate it
  bnlnpps.swf_testbed.release:
    state: active
    root: /opt/swf-testbed
    id: "{{ release.id }}"
"""

RETURN = r"""
id:
  description: Id of the release. V(unlocked) in check mode when there is no lock yet.
  returned: always
  type: str
  sample: 0.1.0-3f2a9c1e
path:
  description: Directory of the release.
  returned: always
  type: str
  sample: /opt/swf-testbed/releases/0.1.0-3f2a9c1e
tools:
  description: Directory of the tools environment.
  returned: with O(state=built)
  type: str
  sample: /opt/swf-testbed/tools/5c1e0b7d
active:
  description: Id of the release that is active, or null.
  returned: with O(state=built)
  type: str
  sample: 0.0.9-77aa01cd
built:
  description: What was built, or would be, as V(tools) and V(release).
  returned: with O(state=built)
  type: list
  elements: str
  sample: [release]
python:
  description: Version of the release's Python.
  returned: with O(state=built), once it is built
  type: str
  sample: 3.11.2
previous:
  description: Id of the release that was active before.
  returned: with O(state=active)
  type: str
  sample: 0.0.9-77aa01cd
"""

import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _git_wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._environments import (
    activate,
    active,
    build,
    manifest,
    only_one,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._indexes import ARGUMENTS, normalised
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._install_verdict import explained
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._installers import InstallError, installer
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._lock import by_index, short_hash, versions

UNLOCKED = "unlocked"


def package_list(packages):
    """One line a package, for a diff."""
    return "".join("%s==%s\n" % pair for pair in sorted(packages.items()))


def tools_indexes(indexes):
    """Tools are public packages: they come from the primary index."""
    public = [index for index in normalised(indexes) if index["role"] == "primary"]
    return public or normalised([{"name": "pypi"}])


def built(module):
    options = module.params
    root = options["root"]
    tools = os.path.join(root, "tools", short_hash(options["tools_lock"]))
    release_id = "%s-%s" % (options["version"], short_hash(options["lock"])) if options["lock"] else UNLOCKED
    path = os.path.join(root, "releases", release_id)
    missing = [name for name, place in (("tools", tools), ("release", path)) if manifest(place) is None]
    result = {"changed": bool(missing), "id": release_id, "path": path, "tools": tools, "built": missing,
              "active": active(root)}
    if "release" in missing:
        before = (manifest(os.path.join(root, "current")) or {}).get("packages", {})
        after = versions(options["lock"]) if options["lock"] else {name: "?" for name in options["requirements"]}
        result["diff"] = {"before_header": "active release", "after_header": "release " + release_id,
                          "before": package_list(before), "after": package_list(after)}
    sent = next((index for index in options["indexes"] if index["name"] == _git_wheels.INDEX), None)
    if "release" in missing and sent and not options["wheels"] and not module.check_mode:
        module.exit_json(needs_wheels=True, **result)
    if missing and not module.check_mode:
        with only_one(root), tempfile.TemporaryDirectory() as wheels:
            if sent and options["wheels"]:
                _git_wheels.unpack(options["wheels"], wheels)
                sent["url"] = wheels
            if manifest(tools) is None:
                build(tools, options["tools_lock"], options["python"], installer(options["installer"]),
                      tools_indexes(options["indexes"]), options["access_dir"])
            if manifest(path) is None:
                chosen = installer(options["installer"], os.path.join(tools, "bin", "uv"))
                build(path, options["lock"], options["python"], chosen, normalised(options["indexes"]),
                      options["access_dir"], options["smoke"], options["version"])
    found = manifest(path)
    if found:
        result["python"] = found["python"]
    module.exit_json(**result)


def asked_for(options, index):
    """What an installation asks of an index, for the verdict on a failed one."""
    if not index or not options["lock"]:
        return []
    texts = dict((bound["name"], text) for bound, text in by_index(options["lock"], normalised(options["indexes"])))
    return ["%s==%s" % pair for pair in versions(texts.get(index["name"], "")).items() if " or " not in pair[1]]


def made_active(module):
    root, release_id = module.params["root"], module.params["id"]
    before = active(root)
    result = {"changed": before != release_id, "id": release_id, "previous": before,
              "path": os.path.join(root, "releases", release_id)}
    if result["changed"]:
        result["diff"] = {"before": "%s\n" % before, "after": "%s\n" % release_id,
                          "before_header": "current", "after_header": "current"}
        if not module.check_mode:
            activate(root, release_id)
    module.exit_json(**result)


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["built", "active"], "default": "built"},
            "root": {"type": "path", "required": True},
            "id": {"type": "str"},
            "version": {"type": "str"},
            "requirements": {"type": "list", "elements": "str", "default": []},
            "lock_file": {"type": "path"},
            "constraints_file": {"type": "path"},
            "tools_lock_file": {"type": "path"},
            "min_python": {"type": "str", "default": "3.10"},
            "python": {"type": "str", "default": "python3"},
            "indexes": {"type": "list", "elements": "dict", "default": [], "options": ARGUMENTS},
            "access_dir": {"type": "path"},
            "repositories": {"type": "list", "elements": "dict", "default": [], "options": {
                "url": {"type": "str", "required": True},
                "commit": {"type": "str", "required": True},
                "subdirectory": {"type": "str"}}},
            "git_username": {"type": "str"},
            "git_token": {"type": "str", "no_log": True},
            "git_ca_cert": {"type": "path"},
            "wheels_dir": {"type": "path"},
            "wheels": {"type": "path"},
            "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
            "smoke": {"type": "list", "elements": "str", "default": []},
            "lock": {"type": "str"},
            "tools_lock": {"type": "str"},
        },
        required_if=[("state", "active", ["id"]), ("state", "built", ["version", "lock_file", "tools_lock_file"])],
        supports_check_mode=True,
        # a lock has hundreds of lines, and the host's journal is no place for them
        no_log=True,
    )
    try:
        if module.params["state"] == "active":
            made_active(module)
        built(module)
    except InstallError as error:
        options = module.params
        module.fail_json(msg=explained(error, options["indexes"], asked_for(options, error.index), options["access_dir"],
                                       options["lock_file"]))
    except (OSError, ValueError) as error:
        module.fail_json(msg="the release could not be made: %s. The active release was left as it is." % error)


if __name__ == "__main__":
    main()
