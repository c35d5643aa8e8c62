#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_build
short_description: Build a release from a lock, next to the active one
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - A release is a virtual environment that is built from a lock, a requirements file with exact
    versions and hashes. Its id is the version and a hash of the lock, so that it is the same on
    every host. The tools, such as supervisor, are built from a lock of their own.
  - A release can also have source trees, the files of git repositories, in C(src/NAME). The commits
    are part of its id.
  - The lock is a file on the controller. If it does not exist, C(uv) makes it there once. All hosts
    and all later runs then install the same files.
  - Each name is requested from one index only, the one that claims it in O(indexes[].packages). A
    lock with a claimed name from any other source is refused.
  - A release is complete once its programs can be imported and its dependencies are consistent. An
    incomplete release of an interrupted run is replaced.
  - A release in use is never rebuilt in place. If its Python is gone or has changed, it is built
    again next to it, under its id with a number appended.
  - This module activates nothing; see M(bnlnpps.swf_testbed.release_activate).
  - Two runs on one host take turns. The second one waits up to 15 minutes.
options:
  files:
    default: []
  mode:
    description:
      - With V(pull), each host builds for itself.
      - With V(push), one host per platform builds the release, and the others receive it through
        the controller. Receivers contact no index and get no credentials. The builder has the
        credentials of O(indexes) during the build only.
      - V(push) takes four steps, so that the same task is run up to four times. The first one
        finds the missing parts. Run the others while RV(pending) is true, the third one with
        C(delegate_to) the RV(source). All hosts take a step before any of them takes the next one,
        as with the strategy V(linear). See C(tasks/push.yml) of
        P(bnlnpps.swf_testbed.release#role).
      - The platform of a host is its architecture, distribution and its release (the rebuilds of EL
        count as one), C library, path and minor version of Python, and the paths of the release and
        the tools.
    type: str
    choices: [pull, push]
    default: pull
  cache_max_mb:
    description:
      - Maximum size in MB of the cache of uv and pip in O(root) after a build. A larger cache is
        removed, and the next build downloads its packages again.
      - A login that sets E(UV_CACHE_DIR) or E(PIP_CACHE_DIR) uses, and limits, that cache instead.
    type: int
    default: 1000
  version:
    description: First part of the id of the release.
    type: str
    required: true
  tools_lock_file:
    description: Path on the controller of the lock of the tools. The default is that of the role
      P(bnlnpps.swf_testbed.release#role).
    type: path
  python:
    description: Name or path of the Python on the host.
    type: str
    default: python3
  indexes:
    description:
      - The indexes to install from, as in
        O(bnlnpps.swf_testbed.common#role:variables:swf_testbed_pip_indexes).
      - The logins and O(indexes[].ca_cert) are used to make a lock. They stay on the controller.
    default: []
  wheelhouse:
    description:
      - Path on the controller of an archive of M(bnlnpps.swf_testbed.wheelhouse). It is sent to
        hosts that have to build, and nothing is installed from O(indexes). Such hosts need neither
        access to an index nor a token.
    type: path
  access_dir:
    description:
      - Directory on the host with C(netrc), the credentials of the indexes, and C(<name>.pem),
        their CA certificates.
      - The role P(bnlnpps.swf_testbed.pip_index#role) creates it.
    type: path
  installer:
    description: V(auto) uses uv if it is available, and pip otherwise.
    type: str
    choices: [auto, uv, pip]
    default: auto
  import_check:
    description: Packages whose console scripts must be importable before the release is complete.
    type: list
    elements: str
    default: []
  _controller:
    description: Data that the action of this module adds, such as the text of the lock.
    type: dict
  _access:
    description: Credentials for the time of a build, which the action of this module adds.
    type: dict
extends_documentation_fragment:
  - bnlnpps.swf_testbed.release
  - bnlnpps.swf_testbed.release_inputs
  - bnlnpps.swf_testbed.manifest
  - bnlnpps.swf_testbed.package_indexes
attributes:
  check_mode:
    support: full
    description: Predicts what would be built. A lock that does not exist is not made, and its id is
      not known.
  diff_mode:
    support: full
    description: Shows the packages that differ from the active release.
  action:
    support: full
    description: Has a corresponding action plugin, which makes the lock, reads the variables that
      the task names, and transfers releases.
seealso:
  - module: bnlnpps.swf_testbed.release_activate
  - module: bnlnpps.swf_testbed.release_prune
  - module: bnlnpps.swf_testbed.release_rollback
"""

EXAMPLES = r"""
- name: Build the release
  bnlnpps.swf_testbed.release_build:
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
"""

RETURN = r"""
id:
  description: Id of the release. V(unlocked) in check mode when there is no lock yet.
  returned: success
  type: str
  sample: 0.1.0-3f2a9c1e
path:
  description: Directory of the release.
  returned: success
  type: str
  sample: /opt/swf-testbed/releases/0.1.0-3f2a9c1e
tools:
  description: Directory of the tools environment.
  returned: success
  type: str
  sample: /opt/swf-testbed/tools/5c1e0b7d
active:
  description: Id of the active release, or null.
  returned: success
  type: str
  sample: 0.0.9-77aa01cd
known_good:
  description: Whether O(files) are identical to those with which the active release was activated.
  returned: success
  type: bool
  sample: true
built:
  description: The parts that were built, or would be, as V(tools) and V(release).
  returned: success
  type: list
  elements: str
  sample: [release]
python:
  description: Version of the Python of the release.
  returned: once the release is built
  type: str
  sample: 3.11.2
pending:
  description: Whether further steps of O(mode=push) are due.
  returned: success
  type: bool
  sample: false
platform_key:
  description: Properties of the host that must be the same on two hosts for one to receive the
    release from the other.
  returned: by the first step of O(mode=push)
  type: dict
  sample:
    executable: /usr/bin/python3.11
    libc: glibc 2.36
    machine: x86_64
    python: "3.11"
    release: /opt/swf-testbed/releases/0.1.0-3f2a9c1e
    system: debian 12
    tools: /opt/swf-testbed/tools/5c1e0b7d
source:
  description: Name of the host that builds the release for this one, or has it.
  returned: by the other steps of O(mode=push)
  type: str
  sample: node1
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import git_wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
    installer,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.verdict import explained
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.modes import set_umask
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.python import resolved
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    ARGUMENTS,
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.lock import (
    by_index,
    short_hash,
    versions,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.listing import (
    ManifestError,
    entry,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.record import (
    ARGUMENT,
    record,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    archive,
    config_snapshot,
    store,
    trees,
    wheelhouse,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.build_cache import (
    NAME,
    cache_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    active,
    build,
    exclusive_lock,
    made_with,
    manifest,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.failures import reported
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.inputs import OPTIONS

UNLOCKED = "unlocked"
# in the root, as the manifest of the instance lists them
DIRECTORIES = ("releases", "tools", NAME)
LINKS = ("current", "previous", ".current.new", ".previous.new")
FILES = (".lock",)
# The content of _controller, from the action: the step of the protocol, the text of both locks, the
# version of the collection, the path of the archive with wheels, and that of a finished release
# with its SHA-256 and the host that built it; and the environments to export. It gives the content
# of the access directory for this build in _access. Both are private, like those of
# ansible.builtin.copy.
CONTROLLER = {
    "step": "build",
    **dict.fromkeys(("lock", "tools_lock", "collection", "wheels")),
    **dict.fromkeys(("archive", "archive_sha256", "sent_from", "paths")),
}
#: {"tools" and "release": (path, manifest or None)}
Places = dict[str, tuple[str, Optional[dict[str, Any]]]]


def package_list(packages: Mapping[str, str]) -> str:
    """One line per package, for a diff."""
    return "".join("%s==%s\n" % pair for pair in sorted(packages.items()))


def tools_indexes(indexes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tools are public packages: they are installed from the primary index."""
    public = [index for index in normalised(indexes) if index["role"] == "primary"]
    return public or normalised([{"name": "pypi"}])


def places_of(options: Mapping[str, Any]) -> Places:
    """Where the environments are, or are to be built."""
    root, files, given = options["root"], options["files"], options["_controller"]
    release = (
        "%s-%s" % (options["version"], short_hash(given["lock"])) if given["lock"] else UNLOCKED
    )
    return {
        "tools": store.place_for(
            root,
            "tools",
            short_hash(given["tools_lock"]),
            store.tools_in_use(root, files),
            lambda found: True,
        ),
        "release": store.place_for(
            root,
            "releases",
            release,
            store.releases_in_use(root, files),
            lambda found: made_with(found, options["python"]),
        ),
    }


def look(module: AnsibleModule) -> dict[str, Any]:
    """The missing parts, and the platform key that another host must share."""
    options = module.params
    places = places_of(options)
    result = described(options, places)
    result.pop("diff", None)
    return dict(result, changed=False, platform_key=archive.platform_key(options["python"], places))


def built(module: AnsibleModule) -> dict[str, Any]:
    options, given = module.params, module.params["_controller"]
    root = options["root"]
    places = places_of(options)
    result = described(options, places)
    missing = result["built"]
    sent = next(
        (
            index
            for index in options["indexes"]
            if index["name"] in (git_wheels.INDEX, wheelhouse.INDEX)
        ),
        None,
    )
    # tools are not among the files that are made from git
    needed = missing if sent and sent["name"] == wheelhouse.INDEX else set(missing) - {"tools"}
    received = given["wheels"] or given["archive"]
    made = sent or trees.of_lock(given["lock"] or "")
    if needed and made and not received and not module.check_mode:
        return dict(result, needs_wheels=True)
    listed = record(options["manifest"], entries_of(root), module.check_mode)
    result["changed"] = result["changed"] or listed
    if not missing or module.check_mode:
        return result
    with (
        exclusive_lock(root),
        cache_of(root, options["cache_max_mb"]) as caches,
        tempfile.TemporaryDirectory() as wheels,
    ):
        # the run that had the lock before may have built it
        places = places_of(options)
        if given["wheels"]:
            git_wheels.unpack(given["wheels"], wheels)
        if sent and given["wheels"]:
            sent["url"] = wheels
        if given["archive"]:
            archive.verify(given["archive"], given["archive_sha256"])
        about = {name: options[name] for name in ("import_check", "version")}
        about["archives"] = wheels if given["wheels"] else None
        for part, lock, indexes, more in (
            ("tools", given["tools_lock"], tools_indexes(options["indexes"]), {}),
            ("release", given["lock"], normalised(options["indexes"]), about),
        ):
            path, there = places[part]
            if there is None:
                # the tools have the uv for the release, and are built without it
                uv = os.path.join(places["tools"][0], "bin", "uv")
                source = (
                    archive.Received(given["archive"], part, uv)
                    if given["archive"]
                    else installer(options["installer"], uv if part == "release" else None, caches)
                )
                more.update({name: given[name] for name in ("collection", "sent_from")})
                more.update(access_dir=options["access_dir"])
                places[part] = path, build(path, lock, options["python"], source, indexes, **more)
    return dict(
        described(options, places), built=missing, changed=True, diff=result.get("diff", {})
    )


def entries_of(root: str) -> list[dict[str, Any]]:
    """What the module creates in the root of an instance, for the manifest."""
    return (
        [entry("directory", root, "empty")]
        + [entry("directory", os.path.join(root, name)) for name in DIRECTORIES]
        + [entry("link", os.path.join(root, name)) for name in LINKS]
        + [entry("file", os.path.join(root, name)) for name in FILES]
    )


def described(options: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """The result of the module, before anything is built."""
    root, lock = options["root"], options["_controller"]["lock"]
    missing = [name for name in ("tools", "release") if places[name][1] is None]
    path, found = places["release"]
    result: dict[str, Any] = {
        "changed": bool(missing),
        "id": os.path.basename(path),
        "path": path,
        "tools": places["tools"][0],
        "built": missing,
        "active": active(root),
        "known_good": bool(options["files"])
        and config_snapshot.is_in_use(options["files"], active(root)),
    }
    if found:
        result["python"] = found["python"]
    else:
        before = (manifest(os.path.join(root, "current")) or {}).get("packages", {})
        after = versions(lock) if lock else {name: "?" for name in options["requirements"]}
        result["diff"] = {
            "before_header": "active release",
            "after_header": "release " + result["id"],
            "before": package_list(before),
            "after": package_list(after),
        }
    return result


def export(module: AnsibleModule) -> dict[str, Any]:
    """Pack environments for the controller."""
    root, given = module.params["root"], module.params["_controller"]
    with exclusive_lock(root):
        return {"changed": False, "sha256": archive.pack(given["paths"], given["archive"])}


STEPS = {"look": look, "build": built, "export": export}


def explanation(options: Mapping[str, Any], error: InstallError) -> str:
    """The message of a failed installation, with the verdict on the index that was asked."""
    index, lock = error.index, options["_controller"]["lock"]
    requested = []
    if index and lock:
        texts = {
            bound["name"]: text for bound, text in by_index(lock, normalised(options["indexes"]))
        }
        requested = [
            "%s==%s" % pair
            for pair in versions(texts.get(index["name"], "")).items()
            if " or " not in pair[1]
        ]
    return explained(
        error, options["indexes"], requested, options["access_dir"], options["lock_file"]
    )


@contextlib.contextmanager
def access_of(module: AnsibleModule) -> Iterator[None]:
    """Put the credentials of this build into a directory that only this login may enter, and that
    is removed at the end."""
    if not module.params["_access"]:
        yield
        return
    with tempfile.TemporaryDirectory(dir=module.tmpdir) as folder:
        for name, content in module.params["_access"].items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
                stream.write(content)
        module.params["access_dir"] = folder
        yield


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "mode": {"type": "str", "choices": ["pull", "push"], "default": "pull"},
            "root": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
            "version": {"type": "str", "required": True},
            **OPTIONS,
            "tools_lock_file": {"type": "path"},
            "python": {"type": "str", "default": "python3"},
            "indexes": {"type": "list", "elements": "dict", "default": [], "options": ARGUMENTS},
            "indexes_of": {"type": "str"},
            "access_dir": {"type": "path"},
            "repositories_of": {"type": "str"},
            "git_token_of": {"type": "str", "no_log": False},
            "wheelhouse": {"type": "path"},
            "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
            "import_check": {"type": "list", "elements": "str", "default": []},
            "cache_max_mb": {"type": "int", "default": 1000},
            **ARGUMENT,
            "_controller": {"type": "dict"},
            "_access": {"type": "dict", "no_log": True},
        },
        supports_check_mode=True,
        # a lock has hundreds of lines, too many for the journal of the host
        no_log=True,
    )
    hold(module)
    options = module.params
    options["_controller"] = {**CONTROLLER, **(options["_controller"] or {})}
    set_umask()
    with access_of(module), reported(module, lambda error: explanation(options, error)):
        # once for all steps: uv finds another Python by the same name than this module does
        options["python"] = resolved(options["python"])
        try:
            result = STEPS[options["_controller"]["step"]](module)
        except ManifestError as error:
            module.fail_json(msg="%s." % error)
        except archive.ArchiveError as error:
            module.fail_json(
                msg="The release was not transferred. Evidence: %s. The active release was not "
                "changed." % error
            )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
