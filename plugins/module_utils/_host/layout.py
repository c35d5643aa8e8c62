# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths of an instance on a host: one function for both scopes, which every role and playbook
uses."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.instance_name import (
    instance_name,
)

# supervisord first binds "<socket>.<pid>": 103 bytes fail, and a pid may have 7 digits
MAX_SOCKET_BYTES = 99


def environment_of_login() -> dict[str, str]:
    environment = dict(os.environ)
    # HOME may be missing, or that of another login, after a change of user
    environment["HOME"] = environment.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    return environment


def xdg(environment: Mapping[str, str], name: str, fallback: str) -> str:
    """An XDG base directory. The specification ignores relative values."""
    value = environment.get(name, "")
    return value if os.path.isabs(value) else os.path.join(environment["HOME"], fallback)


def layout(instance: str, scope: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The directories of an instance.

    :param instance: name of the instance, for example ``swf-testbed``.
    :param scope: ``user`` or ``system``.
    :param environment: the environment of the login that owns a user-scope instance, with ``HOME``.
    :returns: dict of absolute paths, and of the owners and modes that differ between the scopes. An
        empty owner or group means that of the login.
    :raises InstanceNameError: the name could lead to a path outside of the instance.
    """
    instance_name(instance)
    if scope == "user":
        state = os.path.join(xdg(environment, "XDG_STATE_HOME", ".local/state"), instance)
        places = {
            "config_dir": os.path.join(xdg(environment, "XDG_CONFIG_HOME", ".config"), instance),
            "root": os.path.join(xdg(environment, "XDG_DATA_HOME", ".local/share"), instance),
            "state_dir": state,
            "log_dir": os.path.join(state, "log"),
            # not XDG_RUNTIME_DIR: it exists only while the user is logged in, and the testbed
            # outlives the session
            "run_dir": os.path.join(state, "run"),
            "config_mode": "0700",
            "conf_mode": "0600",
        }
    else:
        places = {
            "config_dir": "/etc/" + instance,
            "root": "/opt/" + instance,
            "state_dir": "/var/lib/" + instance,
            "log_dir": "/var/log/" + instance,
            "run_dir": "/run/" + instance,
            # operators read the configuration, which has no secrets; these are in separate
            # directories
            "config_mode": "0755",
            "conf_mode": "0644",
        }
    places["data_dir"] = os.path.join(places["state_dir"], "data")
    places["secrets_dir"] = os.path.join(places["config_dir"], "secrets")
    # of the logins of developers. Programs follow its files while they run, so they are not among the
    # secrets, which are read at the start
    places["logins_dir"] = os.path.join(places["config_dir"], "logins")
    # credentials and CAs of the package indexes, and the record of the login's pip settings
    places["access_dir"] = os.path.join(places["config_dir"], "pip")
    places["pip_config"] = os.path.join(places["config_dir"], "pip-settings.json")
    # the CA certificates that the programs trust
    places["ca_file"] = os.path.join(places["config_dir"], "ca.pem")
    places["supervisord_conf"] = os.path.join(places["config_dir"], "supervisord.conf")
    places["socket"] = os.path.join(places["run_dir"], "supervisor.sock")
    places["instance"] = instance
    places["scope"] = scope
    places["unit"] = instance + ".service"
    config = xdg(environment, "XDG_CONFIG_HOME", ".config")
    units = "/etc/systemd/system" if scope == "system" else os.path.join(config, "systemd/user")
    places["unit_file"] = os.path.join(units, places["unit"])
    # rolls a host that went down during an activation back to the known good release
    places["boot_unit"] = instance + "-boot.service"
    places["boot_unit_file"] = os.path.join(units, places["boot_unit"])
    return places
