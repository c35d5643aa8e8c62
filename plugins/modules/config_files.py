#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: Place all configuration files of a role in one call
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Renders any number of templates on the controller and places them, with their directories, in
    one transfer. Ten C(template) tasks need ten round trips; this module needs one.
  - Stages and validates all files before it replaces the first one, so that an invalid file leaves
    the host unchanged.
  - Each file is replaced by an atomic rename.
options:
  directories:
    description: Directories to create, parents first, before any file is placed.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path of the directory.
        type: path
        required: true
      mode:
        description: Mode as an octal string.
        type: str
        default: "0755"
      owner: &owner
        description: Name of the owner. Not changed if it is omitted or empty.
        type: str
      group: &group
        description: Name of the group. Not changed if it is omitted or empty.
        type: str
      purge:
        description:
          - Remove the regular files directly in this directory that O(files) does not list.
          - Only for a directory that belongs to the role alone.
        type: bool
        default: false
      uninstall:
        description:
          - How an uninstall treats the directory, for O(manifest). V(empty) removes it if it is
            empty, V(always) with its contents, V(data) with its contents if the data are removed,
            too, and V(never) leaves it.
        type: str
        choices: [empty, always, data, never]
        default: empty
  files:
    description: Files to place.
    type: list
    elements: dict
    default: []
    suboptions:
      dest:
        description: Absolute path of the file. Its directory must exist or be listed in
          O(directories).
        type: path
        required: true
      src:
        description:
          - Template to render, searched for as the M(ansible.builtin.template) does.
          - Exactly one of O(files[].src) and O(files[].content) is required.
        type: str
      content:
        description: The text, instead of a template.
        type: str
      secret:
        description:
          - The text is a secret. It never appears in a result, a diff or a log, at any verbosity.
        type: bool
        default: false
      secret_content:
        description: Set by the action for a file with O(files[].secret=true). Not for use in a
          playbook.
        type: str
      mode:
        description: Mode as an octal string. The default is V(0644), and V(0600) for a secret.
        type: str
      owner: *owner
      group: *group
      backup:
        description: Back up the replaced file to the same directory, with a time stamp in its name.
        type: bool
        default: false
      validate:
        description:
          - Command, as a list, that must exit 0 for the file to be placed. V(%s) in it stands for
            the staged file.
          - Skipped with a warning in check mode when the command does not exist on the host yet.
        type: list
        elements: str
  files_of:
    description:
      - Names of variables that contain lists of O(files), which are joined. Mutually exclusive with
        O(files).
      - A task with O(files) shows their content to every callback plugin, including secrets and
        even with C(no_log). A task that names variables does not.
    type: list
    elements: str
    default: []
  absent:
    description: Files to remove. Directories are never removed.
    type: list
    elements: path
    default: []
  registry:
    description: The list on the controller in which the action records that the instance of
      O(manifest) uses a directory of the controller, and a package index.
    type: dict
    suboptions:
      directory:
        description: The directory on the controller. The list is C(instances.json) in it.
        type: path
        required: true
      index_url:
        description: Address of the index.
        type: str
        required: true
  users_of:
    description: The instances that the action lists as O(manifest.users).
    type: dict
    suboptions:
      group:
        description: Group of the inventory whose hosts have these instances.
        type: str
        required: true
      instance:
        description: Name of the instance, for hosts without C(swf_testbed_instance).
        type: str
        required: true
      scope:
        description: Scope of the instance, for hosts without C(swf_testbed_scope).
        type: str
        required: true
  secret_names:
    description:
      - The secrets in the files, of V(index_token), V(broker_password), V(database_password),
        V(redis_password), V(monitor_secret_key), V(api_token), V(issued_logins),
        V(monitor_users), V(ca), V(index_ca), and V(tls-SERVICE) for certificates of the lab's CA. Keyed digests of the secrets
        that the controller has are recorded with O(manifest), so that the host detects a controller
        with other secrets.
      - Every task with O(manifest) that changes a host also records the controller and the time.
    type: list
    elements: str
    default: []
  provenance:
    description: The record. Set by the action. Not for use in a playbook.
    type: dict
    suboptions:
      controller:
        description: Name of the controller.
        type: str
        required: true
      login:
        description: Login on it.
        type: str
        required: true
      directory:
        description: Its directory of the secrets.
        type: str
        required: true
      time:
        description: The time, in UTC.
        type: str
        required: true
      collection:
        description: Version of the collection.
        type: str
        required: true
      key:
        description: Key of the digests.
        type: str
      secrets:
        description: The digest of each secret.
        type: dict
  known_good:
    description:
      - Directory for a snapshot, which only its owner can read. Before the first of O(files) is
        replaced, the present files are saved there, including those that are removed. An existing
        snapshot is not replaced; it is from before a change that was never verified.
      - M(bnlnpps.swf_testbed.known_good_files) restores the files from it, or removes it once the
        change is verified.
    type: path
extends_documentation_fragment:
  - bnlnpps.swf_testbed.manifest
attributes:
  check_mode:
    support: full
    description: Predicts every change.
  diff_mode:
    support: full
    description: Shows the text of each file before and after. For a secret, it shows only that it
      changed.
  action:
    support: full
    description: Has a corresponding action plugin, which reads the variables that the task names.
"""

EXAMPLES = r"""
- name: Place the configuration of the application
  bnlnpps.swf_testbed.config_files:
    directories:
      - path: /etc/app
        mode: "0755"
      - path: /etc/app/secrets
        mode: "0700"
    files:
      - dest: /etc/app/app.conf
        src: app.conf.j2
        validate: [/usr/bin/app, --check, "%s"]
      - dest: /etc/app/secrets/token
        content: "{{ app_token }}"
        secret: true

- name: Place secrets, without showing them to callback plugins
  bnlnpps.swf_testbed.config_files:
    files_of: [app_secret_files]
  vars:
    app_secret_files:
      - dest: /etc/app/secrets/token
        content: "{{ app_token }}"
        secret: true
  no_log: true
"""

RETURN = r"""
files:
  description: The changed paths and the change of each, in check mode the predicted ones.
  returned: always
  type: list
  elements: dict
  sample:
    - path: /etc/app/app.conf
      action: updated
  contains:
    path:
      description: The path.
      type: str
    action:
      description: One of V(created), V(updated), V(attributes), V(removed).
      type: str
backups:
  description: Paths of the backups.
  returned: always
  type: list
  elements: str
  sample: []
known_good:
  description: The snapshot. The present files are not verified until it is removed.
  returned: if it exists, or would exist
  type: str
  sample: /etc/app/secrets.known-good
restorable:
  description: Whether it contains files to restore. That of a first installation does not.
  returned: with RV(known_good)
  type: bool
  sample: true
"""

import contextlib
import os
import tempfile
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes, to_text

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import read
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.modes import set_umask
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    InstanceNameError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.turn import FILES, turn
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import provenance
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.listing import (
    ManifestError,
    entry,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.migration import migrate
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.record import (
    ARGUMENT,
    record,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import known_good


class ConfigFiles:
    """One run: stage and validate all files, then place them."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.changes: list[dict[str, str]] = []
        self.diffs: list[dict[str, str]] = []
        self.backups: list[str] = []
        self.recorded = False
        # directories that did not exist when the module began; writing the manifest may create one
        self.missing = {
            item["path"] for item in module.params["directories"] if not os.path.isdir(item["path"])
        }

    def record(self) -> bool:
        """List new items in the manifest. True if that changes it."""
        parameters = self.module.params
        entries = [
            entry("directory", item["path"], item["uninstall"])
            for item in parameters["directories"]
        ]
        entries += [
            entry("unit" if item["dest"].endswith(".service") else "file", item["dest"])
            for item in parameters["files"]
        ]
        if parameters["manifest"] and parameters["secret_names"]:
            entries += provenance.entries(parameters["manifest"])
        if parameters["known_good"]:
            # the second one is the remainder of a snapshot if a run was interrupted while it wrote it
            entries += [entry("directory", parameters["known_good"] + end) for end in ("", ".new")]
        try:
            manifest = parameters["manifest"]
            migrated = bool(manifest) and migrate(manifest, self.module.check_mode)
            return record(manifest, entries, self.module.check_mode) or migrated
        except (InstanceNameError, ManifestError) as error:
            self.fail("%s. Nothing was changed." % str(error).rstrip("."))
        except OSError as error:
            self.fail_io("cannot write the manifest, and nothing was changed", error)

    def note(self, path: str, action: str, before: str = "", after: str = "") -> None:
        self.changes.append({"path": path, "action": action})
        self.diffs.append(
            {"before": before, "after": after, "before_header": path, "after_header": path}
        )

    def attributes(self, item: dict[str, Any], mode: str) -> dict[str, Any]:
        """Owner, group and mode in the shape that AnsibleModule's own helpers take."""
        path = item["path"] if "path" in item else item["dest"]
        return {
            "path": path,
            "mode": mode,
            "owner": item.get("owner") or None,
            "group": item.get("group") or None,
            "secontext": [None, None, None],
            "attributes": None,
        }

    def apply_attributes(self, arguments: dict[str, Any]) -> bool:
        """True if owner, group or mode differ. Corrects them outside of check mode."""
        return bool(self.module.set_fs_attributes_if_different(arguments, False))

    def directory(self, item: dict[str, Any]) -> None:
        path = item["path"]
        if os.path.isdir(path) and path not in self.missing:
            if self.apply_attributes(self.attributes(item, item["mode"])):
                self.note(
                    path,
                    "attributes",
                    after="mode %s, owner %s, group %s\n"
                    % (
                        item["mode"],
                        item.get("owner") or "unchanged",
                        item.get("group") or "unchanged",
                    ),
                )
            return
        if os.path.lexists(path) and not os.path.isdir(path):
            self.fail(
                "%s must be a directory. Evidence: it is a file. Fix: move it away, then run again"
                % path
            )
        self.note(path, "created", after="directory, mode %s\n" % item["mode"])
        if self.module.check_mode:
            return
        try:
            # 0700 until the attributes are set, so that others never have access
            os.makedirs(path, mode=0o700, exist_ok=True)
        except OSError as error:
            self.fail_io("cannot create the directory", error)
        self.apply_attributes(self.attributes(item, item["mode"]))

    def fail(self, message: str) -> NoReturn:
        self.module.fail_json(
            msg=message, files=self.changes, backups=self.backups, **self.snapshot()
        )
        raise AssertionError("fail_json returned")

    def fail_io(self, cause: str, error: OSError) -> NoReturn:
        self.fail("%s. Evidence: %s. Fix: correct that, then run again" % (cause, error))

    def snapshot(self, due: bool = False) -> dict[str, Any]:
        """The results known_good and restorable; ``due`` if check mode would create the snapshot."""
        folder = self.module.params["known_good"]
        if not folder or not (due or os.path.isdir(folder)):
            return {}
        return {"known_good": folder, "restorable": known_good.restorable(folder)}

    def save(self, unwanted: list[str]) -> None:
        """Save all files before the first one is replaced or removed."""
        folder, parameters = self.module.params["known_good"], self.module.params
        if not folder or self.module.check_mode:
            return
        try:
            known_good.save(
                folder,
                [item["dest"] for item in parameters["files"]] + unwanted,
                [item["path"] for item in parameters["directories"] if item["purge"]],
                [provenance.path_of(parameters["manifest"])] if parameters["provenance"] else [],
            )
        except OSError as error:
            self.fail_io("cannot save the present files, and none was replaced", error)

    def record_provenance(self) -> None:
        """Record the provenance of the secrets, and the controller: before the first file is replaced,
        like the manifest."""
        change, manifest = self.module.params["provenance"], self.module.params["manifest"]
        self.recorded = True
        if not change or not manifest or self.module.check_mode:
            return
        try:
            provenance.write(provenance.path_of(manifest), change)
        except (OSError, ValueError) as error:
            self.fail(
                "cannot record the provenance of the secrets, and none was replaced. Evidence: %s. "
                "Fix: inspect that file, and move it away" % error
            )

    def stage(self, item: dict[str, Any]) -> str | None:
        """Write the new text next to the file, and validate it; None if the file has it already."""
        if os.path.isdir(item["dest"]):
            self.fail(
                "%s must be a file. Evidence: it is a directory. Fix: move it away, then run again"
                % item["dest"]
            )
        text = item["secret_content"] if item["secret"] else item["content"]
        new, old = to_bytes(text), read(item["dest"])
        if old == new:
            return None
        staged = None
        if not self.module.check_mode:
            parent = os.path.dirname(item["dest"])
            try:
                handle, staged = tempfile.mkstemp(prefix=".ansible-", dir=parent)
                with os.fdopen(handle, "wb") as stream:
                    stream.write(new)
            except OSError as error:
                self.fail_io("cannot write the new %s" % item["dest"], error)
            self.module.add_cleanup_file(staged)
        self.validate(item, staged, new)
        return staged or ""

    def validate(self, item: dict[str, Any], staged: str | None, new: bytes) -> None:
        command = item.get("validate")
        if not command:
            return
        if not os.path.exists(command[0]):
            if self.module.check_mode:
                self.module.warn(
                    "%s is not validated: %s does not exist yet" % (item["dest"], command[0])
                )
                return
            self.fail(
                "cannot validate %s. Evidence: %s does not exist on this host. Fix: install it"
                % (item["dest"], command[0])
            )
        scratch = staged
        if scratch is None:
            handle, scratch = tempfile.mkstemp(dir=self.module.tmpdir)
            with os.fdopen(handle, "wb") as stream:
                stream.write(new)
        rc, out, err = self.module.run_command(
            [scratch if part == "%s" else part for part in command]
        )
        if rc != 0:
            shown = "" if item["secret"] else ": %s" % (err.strip() or out.strip())
            self.fail(
                "the new %s is not valid, and nothing was changed. Evidence: %s exited %d%s. Fix: "
                "correct its variables or template"
                % (
                    item["dest"],
                    os.path.basename(command[0]),
                    rc,
                    shown.replace(scratch, item["dest"]),
                )
            )

    def place(self, item: dict[str, Any], staged: str | None) -> None:
        dest = item["dest"]
        mode = item["mode"] or ("0600" if item["secret"] else "0644")
        arguments = self.attributes(item, mode)
        if staged is None:
            if self.apply_attributes(arguments):
                self.note(dest, "attributes", after="mode %s\n" % mode)
            return
        old = read(dest)
        if item["secret"]:
            before, after = ("" if old is None else "a secret\n"), "a secret (changed)\n"
        else:
            before, after = to_text(old or b"", errors="replace"), item["content"]
        self.note(dest, "created" if old is None else "updated", before, after)
        if self.module.check_mode:
            return
        if item["backup"] and old is not None:
            self.backups.append(self.module.backup_local(dest))
        # attributes are set before the rename: the file never exists with wider ones
        self.apply_attributes(dict(arguments, path=staged))
        # a rename within one directory: AnsibleModule.atomic_move makes a new file readable to all for
        # a moment
        os.replace(staged, dest)

    def remove(self, path: str) -> None:
        if not os.path.lexists(path):
            return
        if os.path.isdir(path) and not os.path.islink(path):
            self.fail(
                "cannot remove %s. Evidence: it is a directory, and this module removes only files. "
                "Fix: correct the option absent" % path
            )
        self.note(path, "removed", before="present\n")
        if not self.module.check_mode:
            os.unlink(path)

    def run(self) -> None:
        parameters = self.module.params
        listed = self.record()
        for item in parameters["directories"]:
            self.directory(item)
        # before staging, which would add its files to them
        unwanted = self.unwanted()
        staged = [(item, self.stage(item)) for item in parameters["files"]]
        due = any(path is not None for _item, path in staged) or bool(unwanted)
        if due:
            self.save(unwanted)
        if due or listed or self.changes:
            self.record_provenance()
        try:
            for item, path in staged:
                self.place(item, path)
            for path in unwanted:
                self.remove(path)
        except OSError as error:
            self.fail_io("cannot replace a file", error)
        if self.changes and not self.recorded:
            # only owner or mode changed
            self.record_provenance()
        self.module.exit_json(
            changed=bool(self.changes or listed),
            files=self.changes,
            backups=self.backups,
            diff=self.diffs,
            **self.snapshot(due),
        )

    def unwanted(self) -> list[str]:
        """The existing files to remove."""
        parameters = self.module.params
        wanted = {item["dest"] for item in parameters["files"]}
        found = [path for path in parameters["absent"] if os.path.lexists(path)]
        for item in parameters["directories"]:
            if item["purge"] and os.path.isdir(item["path"]):
                entries = [
                    os.path.join(item["path"], name) for name in sorted(os.listdir(item["path"]))
                ]
                found += [path for path in entries if path not in wanted and os.path.isfile(path)]
        return found


def main() -> None:
    owner = {"owner": {"type": "str"}, "group": {"type": "str"}}
    module = AnsibleModule(
        argument_spec={
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": dict(
                    owner,
                    path={"type": "path", "required": True},
                    mode={"type": "str", "default": "0755"},
                    purge={"type": "bool", "default": False},
                    uninstall={
                        "type": "str",
                        "choices": ["empty", "always", "data", "never"],
                        "default": "empty",
                    },
                ),
            },
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": dict(
                    owner,
                    dest={"type": "path", "required": True},
                    src={"type": "str"},
                    content={"type": "str", "no_log": False},
                    secret_content={"type": "str", "no_log": True},
                    secret={"type": "bool", "default": False, "no_log": False},
                    mode={"type": "str"},
                    backup={"type": "bool", "default": False},
                    validate={"type": "list", "elements": "str"},
                ),
            },
            "files_of": {"type": "list", "elements": "str", "default": []},
            "absent": {"type": "list", "elements": "path", "default": []},
            "registry": {
                "type": "dict",
                "options": {
                    "directory": {"type": "path", "required": True},
                    "index_url": {"type": "str", "required": True},
                },
            },
            "users_of": {
                "type": "dict",
                "options": {
                    name: {"type": "str", "required": True}
                    for name in ("group", "instance", "scope")
                },
            },
            "secret_names": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "known_good": {"type": "path"},
            **ARGUMENT,
            **provenance.ARGUMENT,
        },
        supports_check_mode=True,
        # the invocation would write whole files to the journal of the host
        no_log=True,
    )
    hold(module)
    set_umask()
    with contextlib.ExitStack() as stack:
        if not module.check_mode:
            try:
                # a simultaneous run would remove the staged files as unwanted ones, and two runs
                # would report that they created a directory
                stack.enter_context(turn(FILES))
            except OSError as error:
                module.fail_json(
                    msg="another run places files here, or the lock cannot be created; nothing was "
                    "changed. Evidence: %s. Fix: wait for that run, then run again" % error,
                    files=[],
                    backups=[],
                )
        ConfigFiles(module).run()


if __name__ == "__main__":
    main()
