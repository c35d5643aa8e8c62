#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_removed
short_description: Remove an instance of the testbed from a host, and nothing else
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Removes what the roles made - releases, tools, configuration, secrets, logs, the systemd unit - and, only when it is told to,
    the data. Takes out what M(bnlnpps.swf_testbed.pip_settings) set in the files of pip and uv.
  - Directories that then still hold anything are kept, and named in RV(kept).
  - Stops the instance first. One that does not stop is not removed.
options:
  instance:
    description: Name of the instance.
    type: str
    required: true
  scope:
    description: V(user) for an instance of the login, V(system) for one of the host.
    type: str
    choices: [user, system]
    default: user
  remove_data:
    description: Also remove the data, such as the monitor's database, STF files, and an index's packages. It cannot be got back.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Says what would be removed and changes nothing.
  diff_mode:
    support: full
    description: Lists the paths.
"""

EXAMPLES = r"""
- name: Remove the testbed and keep its data
  bnlnpps.swf_testbed.instance_removed:
    instance: swf-testbed
"""

RETURN = r"""
removed:
  description: Paths that were removed, or would be.
  returned: always
  type: list
  elements: str
  sample: [/home/me/.local/share/swf-testbed/releases]
stopped:
  description: Whether something ran and was stopped, or would be.
  returned: always
  type: bool
  sample: true
kept:
  description: Paths of the instance that are still there.
  returned: always
  type: list
  elements: str
  sample: [/home/me/.local/state/swf-testbed]
"""

import os
import shutil

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils import _pip_settings, _systemd
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._daemon import (
    DaemonError,
    identity,
    lost_daemons,
    stop,
    stop_lost,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._layout import environment_of_login, layout
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._programs_of import end_programs_of, programs_of
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_client import Client
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_errors import SupervisorError
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor_transport import Endpoint

STOP_SECONDS = 60
OURS = {
    "root": ("releases", "tools", "current", "previous", ".current.new", ".previous.new", ".lock", "app"),
    "config_dir": ("supervisord.conf", "proven", "back_at_boot.sh", "pip", "pip-settings.json", "secrets", "ca.pem", "index.json",
                   "upstream.json"),
    # what a mirror keeps can be had again
    "state_dir": ("log", "run", "mirror"),
}
DATA = ("data", "broker", "monitor", "packages", "backups")


def candidates(places, remove_data):
    """Paths to remove, children before the directories that they leave empty."""
    for kind, names in OURS.items():
        extra = DATA if remove_data and kind == "state_dir" else ()
        for name in names + extra:
            yield os.path.join(places[kind], name)
    yield places["unit_file"]
    yield places["boot_unit_file"]
    if places["log_dir"] != os.path.join(places["state_dir"], "log"):
        yield places["log_dir"]


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        # the parameter has another name from Python 3.12 on, and this one until 3.14 at least
        shutil.rmtree(path, onerror=forgive)
    else:
        os.unlink(path)


def forgive(_function, path, failure):
    """A file system that hosts share: another one may be removing the same, and where it is mounted is not ours to remove."""
    if not (isinstance(failure[1], FileNotFoundError) or os.path.ismount(path)):
        raise failure[1]


def stop_all(places, check_mode):
    """Stop the instance. True if something ran.

    :raises DaemonError, SupervisorError: it does not stop, or is not ours to stop.
    """
    client = Client(Endpoint("unix", places["socket"]))
    lost = lost_daemons(client, places["supervisord_conf"], places["log_dir"])
    found = identity(client)
    if check_mode:
        return bool(found or lost or programs_of(places["socket"]))
    if os.path.exists(places["unit_file"]):
        # systemd would start it again, now or at the next boot
        _systemd.systemctl(places["scope"], "disable", "--now", "--quiet", places["unit"])
    elif found:
        stop(client, found[1], STOP_SECONDS)
    stop_lost([*lost, *(found[1:] if found else ())], STOP_SECONDS)
    return bool(end_programs_of(places["socket"]) or found or lost)


def main():
    module = AnsibleModule(
        argument_spec={
            "instance": {"type": "str", "required": True},
            "scope": {"type": "str", "choices": ["user", "system"], "default": "user"},
            "remove_data": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = module.params
    places = layout(options["instance"], options["scope"], environment_of_login())
    try:
        ran = stop_all(places, module.check_mode)
    except (DaemonError, SupervisorError, _systemd.SystemdError) as error:
        module.fail_json(msg="%s was not removed, because it could not be stopped: %s" % (options["instance"], error))
    settings = _pip_settings.Files()
    record = _pip_settings.read_record(places["pip_settings"])
    if record:
        _pip_settings.undo(settings, record, options["instance"])
    removed = [path for path in candidates(places, options["remove_data"]) if os.path.lexists(path)]
    # a mount is emptied and stays; to empty it again is no change
    removed = [path for path in removed if not (os.path.ismount(path) and not os.listdir(path))]
    if not module.check_mode:
        try:
            settings.write()
            for path in removed:
                remove(path)
            if places["unit_file"] in removed:
                _systemd.systemctl(places["scope"], "daemon-reload")
            for kind in OURS:
                if os.path.isdir(places[kind]) and not os.listdir(places[kind]):
                    os.rmdir(places[kind])
        except OSError as error:
            module.fail_json(msg="cannot remove %s: %s. Mend that and run again; it goes on where it stopped." % (
                error.filename, error.strerror))
    kept = [places[kind] for kind in OURS if os.path.isdir(places[kind])]
    module.exit_json(changed=bool(ran or removed), removed=removed, kept=kept, stopped=ran,
                     diff={"before": "".join(line + "\n" for line in ["running"] * ran + removed + settings.changed()),
                           "after": ""})


if __name__ == "__main__":
    main()
