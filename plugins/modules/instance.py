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
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index import pip_config
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


class NotRemoved(Exception):
    """Why nothing is removed."""


def stop_all(places: dict[str, Any], units: list[str], check_mode: bool) -> bool:
    """Stop the instance. True if something ran.

    :param units: the units of the manifest that are there.
    :raises DaemonError, SupervisorError: it does not stop, or is not ours to stop.
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
    """Stop the units of a service and see that they are not started again. True if there was
    one."""
    for path in units if not check_mode else ():
        systemd.systemctl("system", "disable", "--now", "--quiet", os.path.basename(path))
    return bool(units)


def pip_lines(places: dict[str, Any], due: list[dict[str, Any]]) -> pip_config.Files:
    """The files of pip and uv without our lines, not written yet.

    :raises NotRemoved: lines are to be taken out of a file that the manifest does not name, or that
        cannot be parsed.
    """
    files = pip_config.Files()
    record = pip_config.read_record(places["pip_config"])
    if record:
        try:
            pip_config.undo(files, record, places["instance"])
        except ValueError as error:
            raise NotRemoved(
                "our lines cannot be taken out of a file. Evidence: %s. Fix: correct that file, "
                "and run again" % (error)
            ) from None
    unlisted_files = set(files.changed()) - {
        item["path"] for item in due if item["kind"] == "lines"
    }
    if unlisted_files:
        raise NotRemoved(
            "%s names files that the manifest does not list. Evidence: %s. Fix: look at them; if "
            "they hold lines of "
            "this instance, run site.yml once more, which lists them"
            % (places["pip_config"], ", ".join(sorted(unlisted_files)))
        )
    return files


def unlisted(places: dict[str, Any], manifest: dict[str, Any], path: str) -> list[str]:
    """What is in the directories of the instance, and in no manifest."""
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


def not_listed(
    module: AnsibleModule, subject: dict[str, Any], places: dict[str, Any] | None, path: str
) -> None:
    """There is no manifest: an older installation, or none at all.

    :raises NotRemoved: an older installation.
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
    listing = [manifest_listing.told(item) for item in found]
    result = {
        "manifest": path,
        "removed_items": [],
        "pending_entries": [],
        "stopped": False,
        "users": [],
        "remaining_items": [],
        "unlisted_paths": unlisted(places, {"entries": []}, path) if places else [],
    }
    if found and not options["write_manifest"]:
        raise NotRemoved(
            "there is an installation and no manifest of what it created. Evidence: there is no "
            "%s, and there are "
            "%s. Fix: let the manifest be written, look at it, and run again: %s (or run site.yml)"
            % (path, ", ".join(listing), WRITE)
        )
    if found:
        new = manifest_listing.merged(
            dict(subject, format=manifest_listing.FORMAT, collection=None, entries=[], users=[]),
            [completed(item, None) for item in found],
        )
        if not module.check_mode:
            manifest_listing.write(path, new)
        result["remaining_items"] = listing
    if options["user"] and not options["write_manifest"]:
        result["user"] = options["user"]
    module.exit_json(
        changed=bool(found),
        diff={"before": "", "after": "".join(line + "\n" for line in listing)},
        **result,
    )


def used(module: AnsibleModule, path: str, manifest: dict[str, Any], users: list[str]) -> None:
    """Others use it: it stays, and is listed as used by them alone."""
    listed = [user for user in manifest["users"] if user in users]
    changed = listed != manifest["users"]
    if changed and not module.check_mode:
        manifest_listing.write(path, dict(manifest, users=listed))
    stays = [
        "%s: used by %s" % (manifest_listing.told(item), ", ".join(users))
        for item in manifest["entries"]
        if item["uninstall"] != "never"
    ]
    module.exit_json(
        changed=changed,
        manifest=path,
        removed_items=[],
        pending_entries=[],
        stopped=False,
        users=users,
        unlisted_paths=[],
        remaining_items=stays,
    )


def removed_in(
    module: AnsibleModule,
    subject: dict[str, Any],
    places: dict[str, Any] | None,
    path: str,
    manifest: dict[str, Any],
) -> None:
    """Remove it, or say what would be."""
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
        raise NotRemoved(
            "%s lists what is not removed:\n%s\nFix: put right what is in the way, or take the "
            "entry out of the "
            "manifest; it then stays"
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
        manifest_listing.told(item)
        for item in due
        if manifest_listing.key(item) not in removal.refusals
    ]
    changed = bool(
        ran
        or gone
        or emptied
        or files.changed()
        or (not module.check_mode and removal.left() is None)
    )
    user = {"user": options["user"]} if options["user"] else {}
    module.exit_json(
        changed=changed,
        manifest=path,
        removed_items=gone,
        stopped=ran,
        pending_entries=elsewhere,
        users=[],
        remaining_items=removal.stays(),
        unlisted_paths=unlisted(places, manifest, path) if places else [],
        diff={
            "before": "".join(line + "\n" for line in ["running"] * ran + gone + files.changed()),
            "after": "",
        },
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
    what = options["service"] or options["instance"]
    try:
        subject = manifest_listing.subject_of(options)
        places = (
            layout(subject["instance"], subject["scope"], environment_of_login())
            if "instance" in subject
            else None
        )
        path = manifest_listing.path_of(subject)
        manifest = manifest_listing.read(path, subject)
        if manifest is None:
            not_listed(module, subject, places, path)
        if options["write_manifest"]:
            module.exit_json(
                changed=False,
                manifest=path,
                removed_items=[],
                pending_entries=[],
                stopped=False,
                unlisted_paths=[],
                users=manifest["users"],
                remaining_items=[manifest_listing.told(item) for item in manifest["entries"]],
            )
        users = sorted(
            {*manifest["users"], *options["other_users"]} - set(options["removed_users"])
        )
        if users:
            used(module, path, manifest, users)
        removed_in(module, subject, places, path, manifest)
    except (InstanceNameError, manifest_listing.ManifestError, NotRemoved) as error:
        module.fail_json(msg="%s. Nothing was removed." % str(error).rstrip("."))
    except (DaemonError, SupervisorError, systemd.SystemdError) as error:
        module.fail_json(
            msg="%s was not removed, because it could not be stopped: %s" % (what, error)
        )
    except OSError as error:
        module.fail_json(
            msg="cannot remove %s: %s. Fix that and run again; the removal resumes."
            % (error.filename, error.strerror)
        )


if __name__ == "__main__":
    main()
