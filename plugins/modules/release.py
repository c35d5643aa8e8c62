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
  - A release is a virtual environment built from a lock, a requirements file with exact versions
    and hashes. Its id is the version and a hash of the lock, so that it is the same on every host.
  - The lock is a file on the controller. Where it does not exist, it is made there once with C(uv)
    and kept, so that all hosts, and all later runs, install the same files.
  - Each name is asked for at one index only, the one that claims it in O(indexes[].packages). A
    lock in which a claimed name came from anywhere else is refused.
  - A release counts as built once its programs import and its dependencies are whole. What a run
    that was cut off left behind is replaced.
  - What is in use is never built anew in its place. A release whose Python is gone, or is another
    one by now, is built again beside it, under its id with a number behind it.
  - Two runs on one host take turns. The second one waits up to 15 minutes.
options:
  state:
    description:
      - V(built) builds the release and the tools environment and activates nothing.
      - V(active) keeps O(files) for the release O(id), lets C(current) name it, by one atomic
        rename, and C(previous) the one before it, and then does what V(pruned) does. It is refused
        where O(files) are for another release.
      - V(restored) puts O(files) back as they were when the release O(id) was made active. It
        activates nothing.
      - V(pruned) removes the releases beyond the newest O(keep), what was half built, and tools
        that nothing names any more. What is active, was active before it, or is configured stays in
        any case.
      - V(absent) removes the release O(id). It is refused for the active one, the one before it,
        and one that is configured.
      - V(packed) brings what another host lacks of a release, and this one has, to the controller.
        It is a step of O(push), with C(delegate_to) the RV(source), and changes nothing on any
        host.
    type: str
    choices: [built, active, restored, pruned, absent, packed]
    default: built
  push:
    description:
      - A step of building a release on one host of each kind, and sending it to the others. Without
        it, each host builds for itself. All hosts take a step before any of them takes the next
        one, as with the strategy V(linear). The role P(bnlnpps.swf_testbed.release#role) has the
        whole sequence.
      - V(look) builds nothing. It notes on the controller what the host is and what it lacks, for
        as long as Ansible runs.
      - V(build) builds on the first host of a kind, unless a host of that kind has the release
        already, and tells the others which one is their RV(source). The builder has the credentials
        of O(indexes) for as long as it builds.
      - After O(state=packed), V(send) unpacks the release on the others, to the path where it was
        built, and checks it as if it had been built there. They ask no index, and get no
        credentials.
      - Hosts are of one kind that have the same architecture, C library, path and minor version of
        Python, and that lack, or have, the release and the tools at the same paths.
    type: str
    choices: [look, build, send]
  root:
    description: Directory of the instance that holds C(tools), C(releases), C(current) and
      C(previous).
    type: path
    required: true
  id:
    description:
      - The release that is meant. Required with O(state=active), O(state=restored) and
        O(state=absent).
      - With O(state=restored), V(active) and V(previous) stand for these.
    type: str
  files:
    description:
      - Paths of the files that belong to a release, C(supervisord.conf) first, then the unit if
        there is one. They are kept, with modes and owners, in the directory C(known_good) beside
        the first one. Files with secrets do not belong here.
    type: list
    elements: path
    default: []
  forget:
    description:
      - With O(state=active), the release that the host goes back from because it is no good
        elsewhere. The configuration that was kept for it is removed, so that O(state=restored) does
        not lead to it, as V(previous) otherwise would.
    type: str
  snapshots:
    description: With O(state=active), snapshots of secrets that are proven now. They are dropped,
      as by M(bnlnpps.swf_testbed.known_good_files).
    type: list
    elements: path
    default: []
  keep:
    description: How many releases stay, with O(state=active) and O(state=pruned). Those in use stay
      in any case.
    type: int
    default: 3
  cache_max_mb:
    description:
      - Size in MB that the cache of uv and pip in O(root) may have after a build. A larger one is
        removed, and the next build fetches what it needs.
      - A login that sets E(UV_CACHE_DIR) or E(PIP_CACHE_DIR) has that one used, and limits it
        itself.
    type: int
    default: 1000
  locks_dir:
    description: Directory on the controller of which O(keep_locks) is to hold, if O(lock_file) is
      in it. A lock elsewhere is yours, and stays.
    type: path
  keep_locks:
    description: How many locks that this module made stay in O(locks_dir), and how many directories
      of wheels in O(wheels_dir). Those that were not used for longest go; one that is wanted again
      is made again, of the versions of that day.
    type: int
    default: 50
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
    description: Path on the controller of constraints (exact versions) for a lock that is to be
      made.
    type: path
  tools_lock_file:
    description: Path on the controller of the lock of the tools environment. Required with
      O(state=built).
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
      - The indexes to install from, as in
        O(bnlnpps.swf_testbed.common#role:variables:swf_testbed_pip_indexes).
      - The logins and O(indexes[].ca_cert) are for a lock that is to be made. They stay on the
        controller.
    default: []
  repositories:
    description:
      - Components that come from git instead of an index. They are built once on the controller and
        sent to the hosts as wheels, so that no host needs git or a token.
      - What they are called is read from what was built. They come from nowhere else, whatever
        O(indexes) claim.
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
  repositories_of:
    description: Name of the variable with O(repositories), in the place of these. An empty one is
      for none.
    type: str
  git_username:
    description: User name for repositories over https. The default suits GitHub.
    type: str
  git_token:
    description: Token for repositories over https. It stays on the controller.
    type: str
  git_token_of:
    description: Name of the variable with O(git_token), in its place, so that the task does not
      carry it.
    type: str
  git_ca_cert:
    description: Path on the controller of CA certificates for repositories over https.
    type: path
  wheels_dir:
    description: Directory on the controller in which wheels that were built are kept. Required with
      O(repositories).
    type: path
  wheelhouse:
    description:
      - Path on the controller of an archive of M(bnlnpps.swf_testbed.wheelhouse). It is sent to
        hosts that have to build, and nothing is taken from O(indexes). Such hosts need no way to an
        index, and no token.
    type: path
  wheels:
    description: Path on the host of the archive with the wheels. Set by the action. Not for use in
      a playbook.
    type: path
  access_dir:
    description:
      - Directory on the host with C(netrc), the credentials of the indexes, and C(<name>.pem),
        their CA certificates.
      - The role P(bnlnpps.swf_testbed.pip_index#role) places it.
    type: path
  installer:
    description: V(auto) takes uv where there is one, and pip elsewhere.
    type: str
    choices: [auto, uv, pip]
    default: auto
  import_check:
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
  collection:
    description: Version of the collection, for what is noted of a release. Set by the action. Not
      for use in a playbook.
    type: str
  access:
    description: What is in O(access_dir) for the time of this build alone, by name. Set by the
      action. Not for use in a playbook.
    type: dict
  archive:
    description: Path on the host of the archive with a finished release. Set by the action. Not for
      use in a playbook.
    type: path
  archive_sha256:
    description: The SHA-256 of O(archive). Set by the action. Not for use in a playbook.
    type: str
  sent_from:
    description: Name of the host that O(archive) comes from, for the manifest. Set by the action.
      Not for use in a playbook.
    type: str
  paths:
    description: The environments for O(state=packed), by name. Set by the action. Not for use in a
      playbook.
    type: dict
extends_documentation_fragment:
  - bnlnpps.swf_testbed.manifest
  - bnlnpps.swf_testbed.package_indexes
attributes:
  check_mode:
    support: full
    description: Predicts what would be built or activated. A lock that does not exist is not made,
      and its id is not known.
  diff_mode:
    support: full
    description: Shows which packages differ from the active release; which files change; what is
      removed.
  action:
    support: full
    description: Has a corresponding action plugin, which reads the variables that the task names.
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

- name: Activate it, now that it is known to be healthy, and keep its configuration for a rollback
  bnlnpps.swf_testbed.release:
    state: active
    root: /opt/swf-testbed
    id: "{{ release.id }}"
    files: [/etc/swf-testbed/supervisord.conf]

- name: Put the configuration of the release before it back
  bnlnpps.swf_testbed.release:
    state: restored
    root: /opt/swf-testbed
    id: previous
    files: [/etc/swf-testbed/supervisord.conf]
"""

RETURN = r"""
id:
  description: Id of the release. V(unlocked) in check mode when there is no lock yet.
  returned: but for O(state=pruned) and O(state=packed)
  type: str
  sample: 0.1.0-3f2a9c1e
path:
  description: Directory of the release.
  returned: but for O(state=pruned) and O(state=packed)
  type: str
  sample: /opt/swf-testbed/releases/0.1.0-3f2a9c1e
tools:
  description: Directory of the tools environment.
  returned: with O(state=built)
  type: str
  sample: /opt/swf-testbed/tools/5c1e0b7d
active:
  description: Id of the release that is active, or null.
  returned: with O(state=built) and O(state=restored)
  type: str
  sample: 0.0.9-77aa01cd
proven:
  description: Whether O(files) are, to the byte, those with which the active release was made
    active.
  returned: with O(state=built)
  type: bool
  sample: true
built:
  description: What was built, or would be, as V(tools) and V(release).
  returned: with O(state=built)
  type: list
  elements: str
  sample: [release]
awaited:
  description: Whether the host lacks something, and the further steps are due.
  returned: with O(push=look)
  type: bool
  sample: true
kind:
  description: What other hosts must have, too, to be of the same kind.
  returned: with O(push=look)
  type: dict
  sample:
    command: /usr/bin/python3
    executable: /usr/bin/python3.11
    libc: glibc 2.36
    machine: x86_64
    python: "3.11"
    release: /opt/swf-testbed/releases/0.1.0-3f2a9c1e
    tools: /opt/swf-testbed/tools/5c1e0b7d
source:
  description: Name of the host that has, or builds, what this one gets; that of this host where it
    builds.
  returned: with O(push=build)
  type: str
  sample: node1
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
removed:
  description: Directories that were removed, or would be.
  returned: with O(state=active), O(state=pruned) and O(state=absent)
  type: list
  elements: str
  sample: [/opt/swf-testbed/releases/0.0.7-1b3f00aa]
"""

import contextlib
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import git_wheels
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.errors import explain
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
    disk_full,
    known_good,
    wheelhouse,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    config_snapshot as kept,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import store as releases
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

UNLOCKED = "unlocked"
# of the root, as the manifest of the instance lists it
DIRECTORIES = ("releases", "tools", NAME)
LINKS = ("current", "previous", ".current.new", ".previous.new")
FILES = (".lock",)


class Refused(Exception):
    """What is asked for would take something away that is in use, or is not possible; the text says
    why and what to do."""


def package_list(packages):
    """One line a package, for a diff."""
    return "".join("%s==%s\n" % pair for pair in sorted(packages.items()))


def tools_indexes(indexes):
    """Tools are public packages: they come from the primary index."""
    public = [index for index in normalised(indexes) if index["role"] == "primary"]
    return public or normalised([{"name": "pypi"}])


def places_of(options):
    """{"tools" and "release": (path, manifest or None)}: where they are, or are to be built."""
    root, files = options["root"], options["files"]
    lock = (
        "%s-%s" % (options["version"], short_hash(options["lock"])) if options["lock"] else UNLOCKED
    )
    return {
        "tools": releases.place_for(
            root,
            "tools",
            short_hash(options["tools_lock"]),
            releases.tools_in_use(root, files),
            lambda found: True,
        ),
        "release": releases.place_for(
            root,
            "releases",
            lock,
            releases.releases_in_use(root, files),
            lambda found: made_with(found, options["python"]),
        ),
    }


def built(module):
    options = module.params
    root = options["root"]
    places = places_of(options)
    result = described(options, places)
    missing = result["built"]
    if options["push"] == "look":
        result.pop("diff", None)
        result.update(
            changed=False,
            awaited=bool(missing),
            kind=archive.kind_of_host(options["python"], places),
        )
        if places["release"][1]:
            result["python"] = places["release"][1]["python"]
        module.exit_json(**result)
    sent = next(
        (
            index
            for index in options["indexes"]
            if index["name"] in (git_wheels.INDEX, wheelhouse.INDEX)
        ),
        None,
    )
    # tools are not among the wheels that come from git
    needed = missing if sent and sent["name"] == wheelhouse.INDEX else set(missing) - {"tools"}
    if (
        needed
        and sent
        and not options["wheels"]
        and not options["archive"]
        and not module.check_mode
    ):
        module.exit_json(needs_wheels=True, **result)
    listed = record(options["manifest"], entries_of(root), module.check_mode)
    result["changed"] = result["changed"] or listed
    if missing and not module.check_mode:
        with (
            exclusive_lock(root),
            cache_of(root, options["cache_max_mb"]) as caches,
            tempfile.TemporaryDirectory() as wheels,
        ):
            # what a run that had the turn before has built meanwhile is there
            places = places_of(options)
            if sent and options["wheels"]:
                git_wheels.unpack(options["wheels"], wheels)
                sent["url"] = wheels
            (tools, tools_there), (path, there) = places["tools"], places["release"]
            uv = os.path.join(tools, "bin", "uv")
            make = maker(options, uv, caches)
            if tools_there is None:
                tools_there = make(
                    "tools", tools, options["tools_lock"], None, tools_indexes(options["indexes"])
                )
            if there is None:
                there = make(
                    "release",
                    path,
                    options["lock"],
                    uv,
                    normalised(options["indexes"]),
                    import_check=options["import_check"],
                    version=options["version"],
                )
            places = {"tools": (tools, tools_there), "release": (path, there)}
            result = dict(
                described(options, places), built=missing, changed=True, diff=result.get("diff", {})
            )
    found = places["release"][1]
    if found:
        result["python"] = found["python"]
    module.exit_json(**result)


def entries_of(root):
    """What the module creates in the root of an instance, for the manifest."""
    return (
        [entry("directory", root, "empty")]
        + [entry("directory", os.path.join(root, name)) for name in DIRECTORIES]
        + [entry("link", os.path.join(root, name)) for name in LINKS]
        + [entry("file", os.path.join(root, name)) for name in FILES]
    )


def maker(options, tools_uv, caches):
    """What makes an environment: an installer, or an archive from another host.

    :param tools_uv: path of the uv that is, or will be, among the tools.
    """
    about = {"access_dir": options["access_dir"], "collection": options["collection"]}

    def install(dummy, path, lock, uv, indexes, **more):
        return build(
            path,
            lock,
            options["python"],
            installer(options["installer"], uv, caches),
            indexes,
            **about,
            **more,
        )

    def receive(part, path, lock, dummy, indexes, **more):
        return archive.receive(
            options["archive"],
            part,
            path,
            lock,
            options["python"],
            indexes,
            tools_uv,
            options["sent_from"],
            **about,
            **more,
        )

    if options["archive"]:
        archive.verify(options["archive"], options["archive_sha256"])
        return receive
    return install


def described(options, places):
    """The module's result, before anything is built."""
    root = options["root"]
    missing = [name for name in ("tools", "release") if places[name][1] is None]
    path = places["release"][0]
    result = {
        "changed": bool(missing),
        "id": os.path.basename(path),
        "path": path,
        "tools": places["tools"][0],
        "built": missing,
        "active": active(root),
        "known_good": bool(options["files"]) and kept.is_in_use(options["files"], active(root)),
    }
    if "release" in missing:
        before = (manifest(os.path.join(root, "current")) or {}).get("packages", {})
        after = (
            versions(options["lock"])
            if options["lock"]
            else {name: "?" for name in options["requirements"]}
        )
        result["diff"] = {
            "before_header": "active release",
            "after_header": "release " + result["id"],
            "before": package_list(before),
            "after": package_list(after),
        }
    return result


def asked_for(options, index):
    """What an installation asks of an index, for the verdict on a failed one."""
    if not index or not options["lock"]:
        return []
    texts = dict(
        (bound["name"], text)
        for bound, text in by_index(options["lock"], normalised(options["indexes"]))
    )
    return [
        "%s==%s" % pair
        for pair in versions(texts.get(index["name"], "")).items()
        if " or " not in pair[1]
    ]


def made_active(module):
    root, release_id, files = module.params["root"], module.params["id"], module.params["files"]
    before = active(root)
    proven = not files or kept.is_in_use(files, release_id)
    result = {
        "changed": before != release_id or not proven,
        "id": release_id,
        "previous": before,
        "path": os.path.join(root, "releases", release_id),
        "removed": [],
    }
    if result["changed"]:
        result["diff"] = {
            "before": "%s\n" % before,
            "after": "%s\n" % release_id,
            "before_header": "current",
            "after_header": "current",
        }
    if not module.check_mode:
        with exclusive_lock(root):
            configured = releases.named_by(files[0])[0] if files else release_id
            if configured != release_id:
                raise Refused(
                    "%s is for the release %s, and %s was to be made active: another run works on "
                    "this host. See that "
                    "only one does, then run again" % (files[0], configured, release_id)
                )
            # before the link changes: an active release always has a configuration to go back to
            if files and not proven:
                kept.keep(files, release_id)
            if before != release_id:
                releases.activate(root, release_id)
            if module.params["forget"] not in (None, release_id):
                kept.forget(files, module.params["forget"])
            for snapshot in module.params["snapshots"]:
                known_good.drop(snapshot)
            result["removed"] = releases.surplus(root, module.params["keep"], files)
            releases.remove(result["removed"], files)
    module.exit_json(**result)


def restored(module):
    root, files = module.params["root"], module.params["files"]
    named = {"active": active(root), "previous": releases.previous(root)}
    release_id = named.get(module.params["id"], module.params["id"])
    if release_id is None:
        raise Refused("there is no %s release on this host to go back to" % module.params["id"])
    if manifest(os.path.join(root, "releases", release_id)) is None:
        raise Refused(
            "the release %s is not on this host, or is broken. There are: %s"
            % (release_id, ", ".join(releases.existing(root, "releases")) or "none")
        )
    if not kept.has(files, release_id):
        others = [name for name in releases.existing(root, "releases") if kept.has(files, name)]
        raise Refused(
            "no configuration is kept of the release %s: it was never active and healthy on this "
            "host, or the host "
            "went back from it with its batch. There are ways to: %s"
            % (release_id, ", ".join(others) or "none")
        )
    different = [
        pair for pair in kept.pairs(files, release_id) if kept.read(pair[0]) != kept.read(pair[1])
    ]
    diff = [
        {"before": text(path), "after": text(copy), "before_header": path, "after_header": path}
        for path, copy in different
    ]
    if different and not module.check_mode:
        with exclusive_lock(root):
            kept.put_back(files, release_id)
    module.exit_json(
        changed=bool(different),
        id=release_id,
        path=os.path.join(root, "releases", release_id),
        active=active(root),
        diff=diff,
    )


def text(path):
    return (kept.read(path) or b"").decode("utf-8", "replace")


def pruned(module):
    root, files = module.params["root"], module.params["files"]
    removed = releases.surplus(root, module.params["keep"], files)
    cleared(module, removed, {})


def absent(module):
    root, release_id, files = module.params["root"], module.params["id"], module.params["files"]
    path = os.path.join(root, "releases", release_id)
    if release_id in releases.releases_in_use(root, files):
        raise Refused(
            "the release %s is active, was active before, or is configured, and is not removed"
            % release_id
        )
    cleared(module, [path] * os.path.isdir(path), {"id": release_id, "path": path})


def cleared(module, removed, result):
    if removed and not module.check_mode:
        with exclusive_lock(module.params["root"]):
            releases.remove(removed, module.params["files"])
    diff = {"before": "".join(path + "\n" for path in removed), "after": ""}
    module.exit_json(changed=bool(removed), removed=removed, diff=diff, **result)


def packed(module):
    options = module.params
    if module.check_mode:
        module.exit_json(changed=False)
    with exclusive_lock(options["root"]):
        sha256 = archive.pack(options["paths"], options["archive"])
    module.exit_json(changed=False, sha256=sha256, size=os.path.getsize(options["archive"]))


STATES = {
    "built": built,
    "active": made_active,
    "restored": restored,
    "pruned": pruned,
    "absent": absent,
    "packed": packed,
}


@contextlib.contextmanager
def access_of(module):
    """Have the credentials that came along in a directory that only this login may enter, and that
    is gone at the end."""
    if not module.params["access"]:
        yield
        return
    with tempfile.TemporaryDirectory(dir=module.tmpdir) as folder:
        for name, content in module.params["access"].items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
                stream.write(content)
        module.params["access_dir"] = folder
        yield


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": list(STATES), "default": "built"},
            "root": {"type": "path", "required": True},
            "id": {"type": "str"},
            "files": {"type": "list", "elements": "path", "default": []},
            "forget": {"type": "str"},
            "snapshots": {"type": "list", "elements": "path", "default": []},
            "keep": {"type": "int", "default": 3},
            "version": {"type": "str"},
            "requirements": {"type": "list", "elements": "str", "default": []},
            "lock_file": {"type": "path"},
            "constraints_file": {"type": "path"},
            "tools_lock_file": {"type": "path"},
            "min_python": {"type": "str", "default": "3.10"},
            "python": {"type": "str", "default": "python3"},
            "indexes": {"type": "list", "elements": "dict", "default": [], "options": ARGUMENTS},
            "indexes_of": {"type": "str"},
            "access_dir": {"type": "path"},
            "repositories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "url": {"type": "str", "required": True},
                    "commit": {"type": "str", "required": True},
                    "subdirectory": {"type": "str"},
                },
            },
            "repositories_of": {"type": "str"},
            "git_username": {"type": "str"},
            "git_token": {"type": "str", "no_log": True},
            "git_token_of": {"type": "str", "no_log": False},
            "git_ca_cert": {"type": "path"},
            "wheels_dir": {"type": "path"},
            "wheels": {"type": "path"},
            "wheelhouse": {"type": "path"},
            "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
            "import_check": {"type": "list", "elements": "str", "default": []},
            "cache_max_mb": {"type": "int", "default": 1000},
            "locks_dir": {"type": "path"},
            "keep_locks": {"type": "int", "default": 50},
            "lock": {"type": "str"},
            "tools_lock": {"type": "str"},
            "collection": {"type": "str"},
            "push": {"type": "str", "choices": ["look", "build", "send"]},
            "access": {"type": "dict", "no_log": True},
            "archive": {"type": "path"},
            "archive_sha256": {"type": "str"},
            "sent_from": {"type": "str"},
            "paths": {"type": "dict"},
            **ARGUMENT,
        },
        required_if=[
            ("state", "active", ["id"]),
            ("state", "absent", ["id"]),
            ("state", "restored", ["id", "files"]),
            ("state", "built", ["version", "lock_file", "tools_lock_file"]),
        ],
        supports_check_mode=True,
        # a lock has hundreds of lines, and the host's journal is no place for them
        no_log=True,
    )
    hold(module)
    options = module.params
    set_umask()
    if options["state"] == "built":
        # once, for all that comes: uv finds another Python by the same name than this module does
        options["python"] = resolved(options["python"])
    with access_of(module):
        try:
            STATES[options["state"]](module)
        except (ManifestError, Refused) as error:
            module.fail_json(msg="%s." % error)
        except InstallError as error:
            module.fail_json(
                msg=explained(
                    error,
                    options["indexes"],
                    asked_for(options, error.index),
                    options["access_dir"],
                    options["lock_file"],
                )
            )
        except archive.ArchiveError as error:
            module.fail_json(
                msg="the release was not sent: %s. The active release was left as it is." % error
            )
        except (OSError, ValueError) as error:
            full = disk_full.evidence(
                os.path.join(options["root"], "releases"), str(error), getattr(error, "errno", None)
            )
            if full:
                module.fail_json(
                    msg=explain(
                        InstallError(
                            "write in %s" % options["root"], "\n".join([str(error), *full])
                        )
                    )
                )
            module.fail_json(
                msg="the release could not be made: %s. The active release was left as it is."
                % error
            )


if __name__ == "__main__":
    main()
