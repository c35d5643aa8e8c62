#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance
short_description: Remove an instance or a service by its manifest
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Removes the items that the roles created and listed in the manifest, that is releases, tools,
    configuration, secrets, logs and systemd units. Data and accounts are removed only with
    O(remove_data). Removes the settings of M(bnlnpps.swf_testbed.pip_config) from the files of pip
    and uv. The module does not touch items that the manifest does not list.
  - Shows the items that it is about to remove.
  - Refuses, before the first removal and all at once, directories of the system or of another
    instance, directories that contain a mount point, and paths that a symbolic link has redirected
    since the installation. A listed directory that is a mount point is emptied and stays.
  - Only root (in user scope, the login) may have write permission for the manifest. The manifest is
    removed last. It stays as long as data that it lists stay.
  - Stops the instance first. An instance that does not stop is not removed.
  - An instance or service that other instances use is not removed. Its manifest lists these users.
options:
  state:
    description: V(absent) removes the instance or the service.
    type: str
    choices: [absent]
    required: true
  instance:
    description: Name of the instance. Required, unless O(service) is given.
    type: str
  scope:
    description: V(user) for an instance of the login, V(system) for one of the host.
    type: str
    choices: [user, system]
    default: user
  service:
    description:
      - Name of a service, such as V(broker), instead of an instance. Its manifest is in
        C(/etc/bnlnpps.swf_testbed).
    type: str
  remove_data:
    description: Also remove the data, such as the database of the monitor, STF files, and the
      packages of an index. Removed data cannot be restored.
    type: bool
    default: false
  write_manifest:
    description:
      - Removes nothing. Shows the manifest of an installation that is older than manifests, and
        writes it outside of check mode.
    type: bool
    default: false
  entries:
    description: The items that the role of a O(service) creates, for O(write_manifest), in the form
      of the option C(manifest.entries).
    type: list
    elements: dict
    default: []
  user:
    description:
      - Name of this instance in the lists of users, V(INSTANCE@HOST/SCOPE). Once the instance is
        removed, it is returned, and removed from the list in O(registry).
    type: str
  removed_users:
    description: Users that were removed and no longer count.
    type: list
    elements: str
    default: []
  other_users:
    description: Users in addition to those that the manifest lists.
    type: list
    elements: str
    default: []
  registry:
    description: Directory on the controller with C(instances.json), the list of the instances that
      use it.
    type: path
  index_url:
    description: Address of the package index that is removed. Those in O(registry) that use it are
      added to O(other_users).
    type: str
attributes:
  check_mode:
    support: full
    description: Reports the items that would be removed, and changes nothing.
  diff_mode:
    support: full
    description: Lists the paths.
"""

EXAMPLES = r"""
- name: Remove the testbed but not its data
  bnlnpps.swf_testbed.instance:
    state: absent
    instance: swf-testbed

- name: Write the manifest of an installation that has none
  bnlnpps.swf_testbed.instance:
    state: absent
    instance: swf-testbed
    write_manifest: true
"""

RETURN = r"""
manifest:
  description: Path of the manifest.
  returned: always
  type: str
  sample: /etc/swf-testbed/manifest.json
removed_items:
  description: The removed items, in check mode those that would be removed. Paths, and the names of
    accounts and groups.
  returned: always
  type: list
  elements: str
  sample: [/home/me/.local/share/swf-testbed/releases]
pending_entries:
  description:
    - Entries of the manifest that other tasks remove, such as databases. These tasks run before the
      module runs outside of check mode.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: database
      name: swf_testbed
      uninstall: data
stopped:
  description: Whether running programs were stopped, or would be in check mode.
  returned: success
  type: bool
  sample: true
unlisted_paths:
  description: The directories of the instance, and their contents, that the manifest does not list.
    They stay.
  returned: success
  type: list
  elements: str
  sample: [/home/me/.config/swf-testbed/notes.txt]
remaining_items:
  description: The listed items that stay, each with the reason.
  returned: success
  type: list
  elements: str
  sample: ["package nginx: others may use it"]
users:
  description: The users because of which nothing is removed.
  returned: success
  type: list
  elements: str
  sample: ["swf-strict@one/system"]
released_namespace:
  description: The namespace whose claim at the monitor was released. A claim that cannot be released
    expires (C(swf_testbed_namespace_keep_days)).
  returned: when one was released
  type: str
  sample: swf-testbed_me_node1
user:
  description: O(user), once the instance is removed.
  returned: when O(user) is given and the instance is removed
  type: str
  sample: "swf-testbed@one/system"
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import systemd
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    InstanceNameError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
    layout,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.mounts import silent
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import pip_config
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.namespace import (
    release_namespace,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest import (
    listing as manifest_listing,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.found import (
    entries_of,
    others_on_host,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.record import completed
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._manifest.removal import Removal
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.errors import (
    SupervisorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.rpc import Endpoint
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.running import (
    DaemonError,
    end_programs_of,
    identity,
    lost_daemons,
    programs_of,
    stop,
    stop_lost,
)

STOP_SECONDS = 60
ROOTS = ("root", "config_dir", "state_dir")
WRITE = "ansible-playbook playbooks/uninstall.yml -e swf_testbed_uninstall_write_manifest=true"


class RemovalError(Exception):
    """Nothing is removed; the message has cause, evidence and fix."""


def stop_all(places: dict[str, Any], units: list[str], check_mode: bool) -> bool:
    """Stop the instance. True if a program ran.

    :param units: the existing units of the manifest.
    :raises DaemonError, SupervisorError: it does not stop, or this login may not stop it.
    """
    client = Client(Endpoint("unix", places["socket"]))
    lost = lost_daemons(client, places["supervisord_conf"], places["log_dir"])
    found = identity(client)
    if check_mode:
        return bool(found or lost or programs_of(places["socket"]))
    if places["unit_file"] in units:
        # systemd would start it again, now or at the next boot
        systemd.systemctl(places["scope"], "disable", "--now", "--quiet", places["unit"])
    elif found:
        stop(client, found[1], STOP_SECONDS)
    stop_lost([*lost, *(found[1:] if found else ())], STOP_SECONDS)
    return bool(end_programs_of(places["socket"]) or found or lost)


def stop_service(units: list[str], check_mode: bool) -> bool:
    """Stop and disable the units of a service. True if there was one."""
    for path in units if not check_mode else ():
        systemd.systemctl("system", "disable", "--now", "--quiet", os.path.basename(path))
    return bool(units)


def pip_lines(places: dict[str, Any], due: list[dict[str, Any]]) -> pip_config.Files:
    """The files of pip and uv without our lines, not written yet.

    :raises RemovalError: the manifest does not list a file with our lines, or it cannot be parsed.
    """
    files = pip_config.Files()
    record = pip_config.read_record(places["pip_config"])
    if record:
        try:
            pip_config.undo(files, record, places["instance"])
        except ValueError as error:
            raise RemovalError(
                "our lines cannot be removed from a file. Evidence: %s. Fix: correct that file, then "
                "run again" % error
            ) from None
    unlisted_files = set(files.changed()) - {
        item["path"] for item in due if item["kind"] == "lines"
    }
    if unlisted_files:
        raise RemovalError(
            "%s names files that the manifest does not list. Evidence: %s. Fix: inspect them; if "
            "they contain lines of this instance, run site.yml again, which lists them"
            % (places["pip_config"], ", ".join(sorted(unlisted_files)))
        )
    return files


def unchanged(path: str) -> dict[str, Any]:
    """The result when nothing was removed."""
    return {
        "changed": False,
        "manifest": path,
        "removed_items": [],
        "pending_entries": [],
        "stopped": False,
        "unlisted_paths": [],
        "remaining_items": [],
        "users": [],
    }


def lines(items: list[str]) -> str:
    return "".join(item + "\n" for item in items)


def unlisted(places: dict[str, Any], manifest: dict[str, Any], path: str) -> list[str]:
    """The contents of the directories of the instance that no manifest lists."""
    listed = {
        item["path"] for item in manifest["entries"] if item["kind"] in manifest_listing.PATHS
    } | {path}
    found = []
    for folder in [places[name] for name in ROOTS if os.path.isdir(places[name])]:
        found += [folder] * (folder not in listed)
        inside = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        found += [
            item
            for item in inside
            if item not in listed and not any(other.startswith(item + "/") for other in listed)
        ]
    return found


def without_manifest(
    module: AnsibleModule, subject: dict[str, Any], places: dict[str, Any] | None, path: str
) -> None:
    """An older installation that has no manifest, or no installation.

    :raises RemovalError: there is an older installation.
    """
    options = module.params
    found = (
        entries_of(places)
        if places
        else [
            item
            for item in options["entries"]
            if item["kind"] not in manifest_listing.PATHS or os.path.lexists(item["path"])
        ]
    )
    if places is None and not any(
        item["kind"] in manifest_listing.PATHS and item["uninstall"] != "empty" for item in found
    ):
        found = []
    items = [manifest_listing.label(item) for item in found]
    result = unchanged(path)
    if places:
        result["unlisted_paths"] = unlisted(places, {"entries": []}, path)
    if found and not options["write_manifest"]:
        raise RemovalError(
            "this installation has no manifest. Evidence: %s does not exist, and these items do: "
            "%s. Fix: write the manifest, check it, and run again: %s (or run site.yml)"
            % (path, ", ".join(items), WRITE)
        )
    if found:
        new = manifest_listing.merged(
            dict(subject, format=manifest_listing.FORMAT, collection=None, entries=[], users=[]),
            [completed(item, None) for item in found],
        )
        if not module.check_mode:
            manifest_listing.write(path, new)
        result["remaining_items"] = items
    if options["user"] and not options["write_manifest"]:
        result["user"] = options["user"]
    result.update(changed=bool(found), diff={"before": "", "after": lines(items)})
    module.exit_json(**result)


def in_use(module: AnsibleModule, path: str, manifest: dict[str, Any], users: list[str]) -> None:
    """Others use it: it stays, and its list of users is updated."""
    listed = [user for user in manifest["users"] if user in users]
    changed = listed != manifest["users"]
    if changed and not module.check_mode:
        manifest_listing.write(path, dict(manifest, users=listed))
    remaining = [
        "%s: used by %s" % (manifest_listing.label(item), ", ".join(users))
        for item in manifest["entries"]
        if item["uninstall"] != "never"
    ]
    module.exit_json(
        **dict(unchanged(path), changed=changed, users=users, remaining_items=remaining)
    )


def remove(
    module: AnsibleModule,
    subject: dict[str, Any],
    places: dict[str, Any] | None,
    path: str,
    manifest: dict[str, Any],
) -> None:
    """Remove it, in check mode only report it."""
    options, scope = module.params, subject.get("scope", "system")
    removal = Removal(
        manifest,
        subject,
        places,
        environment_of_login(),
        options["remove_data"],
        others_on_host(places) if scope == "system" and places else None,
    )
    problems = removal.problems()
    if problems:
        raise RemovalError(
            "%s lists entries that cannot be removed:\n%s\nFix: correct the state of the host, or "
            "remove the entry from the manifest; its item then stays"
            % (path, "\n".join("%d. %s" % pair for pair in enumerate(problems, 1)))
        )
    due, elsewhere = removal.due(), removal.due_elsewhere()
    units = [item["path"] for item in due if item["kind"] == "unit"]
    files = pip_lines(places, elsewhere) if places else pip_config.Files()
    ran = (
        stop_all(places, units, module.check_mode)
        if places
        else stop_service(units, module.check_mode)
    )
    released = release_namespace(places) if places and not module.check_mode else ""
    emptied = removal.remove_empty(check_mode=True)
    if not module.check_mode:
        files.write()
        for item in due:
            removal.remove(item)
        if units:
            systemd.systemctl(scope, "daemon-reload")
        rest = removal.left()
        removal.remove_empty()
        if rest is None:
            os.unlink(path)
        elif rest != manifest:
            manifest_listing.write(path, rest)
        # the manifest was in one of them
        emptied += removal.remove_empty()
        if rest is None and places is None and not os.listdir(os.path.dirname(path)):
            os.rmdir(os.path.dirname(path))
    gone = [
        manifest_listing.label(item)
        for item in due
        if manifest_listing.key(item) not in removal.refusals
    ]
    changed = bool(
        ran
        or gone
        or emptied
        or released
        or files.changed()
        or (not module.check_mode and removal.left() is None)
    )
    user = {"user": options["user"]} if options["user"] else {}
    if released:
        user["released_namespace"] = released
    module.exit_json(
        changed=changed,
        manifest=path,
        removed_items=gone,
        stopped=ran,
        pending_entries=elsewhere,
        users=[],
        remaining_items=removal.remaining(),
        unlisted_paths=unlisted(places, manifest, path) if places else [],
        diff={"before": lines(["running"] * ran + gone + files.changed()), "after": ""},
        **user,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["absent"], "required": True},
            "instance": {"type": "str"},
            "scope": {"type": "str", "choices": ["user", "system"], "default": "user"},
            "service": {"type": "str"},
            "remove_data": {"type": "bool", "default": False},
            "write_manifest": {"type": "bool", "default": False},
            "entries": {"type": "list", "elements": "dict", "default": []},
            "user": {"type": "str"},
            "removed_users": {"type": "list", "elements": "str", "default": []},
            "other_users": {"type": "list", "elements": "str", "default": []},
            "registry": {"type": "path"},
            "index_url": {"type": "str"},
        },
        supports_check_mode=True,
    )
    hold(module)
    options = module.params
    name = options["service"] or options["instance"]
    try:
        subject = manifest_listing.subject_of(options)
        places = (
            layout(subject["instance"], subject["scope"], environment_of_login())
            if "instance" in subject
            else None
        )
        texts = silent(places) if places else []
        if texts:
            raise RemovalError(" ".join(texts))
        path = manifest_listing.path_of(subject)
        manifest = manifest_listing.read(path, subject)
        if manifest is None:
            return without_manifest(module, subject, places, path)
        if options["write_manifest"]:
            remaining = [manifest_listing.label(item) for item in manifest["entries"]]
            result = unchanged(path)
            result.update(users=manifest["users"], remaining_items=remaining)
            module.exit_json(**result)
        users = sorted(
            {*manifest["users"], *options["other_users"]} - set(options["removed_users"])
        )
        if users:
            in_use(module, path, manifest, users)
        remove(module, subject, places, path, manifest)
    except (InstanceNameError, manifest_listing.ManifestError, RemovalError) as error:
        module.fail_json(msg="%s. Nothing was removed." % str(error).rstrip("."))
    except (DaemonError, SupervisorError, systemd.SystemdError) as error:
        module.fail_json(
            msg="%s was not removed, because it could not be stopped: %s" % (name, error)
        )
    except OSError as error:
        module.fail_json(
            msg="cannot remove %s. Evidence: %s. Fix: correct that, then run again; the removal resumes"
            % (error.filename, error.strerror)
        )


if __name__ == "__main__":
    main()
