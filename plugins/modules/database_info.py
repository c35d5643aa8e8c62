#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_info
short_description: Count the rows in the database of the monitor
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Counts the runs, files and messages in a database of the monitor, with the settings and drivers
    of a release and as its user.
  - With O(config), it is the database of the configured monitor. With O(release) and
    O(environment), it is a new database of the monitor.
  - With O(former), refuses an empty database if a host of the play has registered one with rows
    under this name. A former database that is unavailable counts as one with rows, and so does that
    of a host which is not in the play.
options:
  config:
    description: Path of the supervisord.conf in use.
    type: path
    default: ""
  release:
    description: Directory of the release to use.
    type: path
    default: ""
  environment:
    description: Environment of the programs of the monitor, without secrets.
    type: dict
    default: {}
  password:
    description: The password of the database. Use O(password_of) in a playbook, since callback
      plugins see arguments of tasks.
    type: str
    default: ""
  password_of:
    description: Name of the variable with O(password).
    type: str
  ca_cert:
    description: The certificates of the CA of the database, as text.
    type: str
    default: ""
  user:
    description: The user that runs the monitor, if it is another one.
    type: str
    default: ""
  former:
    description: Name of the variable under which hosts registered the result of this module with
      O(config).
    type: str
    default: ""
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
attributes:
  action:
    support: full
    description: Has a corresponding action plugin.
"""

EXAMPLES = r"""
- name: Count the rows in the current database of the monitor
  bnlnpps.swf_testbed.database_info:
    config: /etc/swf-testbed/supervisord.conf
    user: swf-testbed
  register: former_database

- name: Refuse a new database that would leave the rows behind
  bnlnpps.swf_testbed.database_info:
    release: "{{ swf_testbed_release.path }}"
    environment: {SWF_MONITOR_DATA_DIR: /var/lib/swf-testbed/monitor}
    password_of: swf_testbed_database_password
    user: swf-testbed
    former: former_database
"""

RETURN = r"""
address:
  description: Address of the database.
  returned: always
  type: str
  sample: postgresql://db.lab.example:5432/swf_testbed
connection:
  description: Parameters for commands, C(host), C(port), C(name) and C(user), or C(path).
  returned: always
  type: dict
  sample: {host: db.lab.example, port: 5432, name: swf_testbed, user: swf_testbed}
rows:
  description: Number of rows by type. Types without rows are left out.
  returned: always
  type: dict
  sample: {runs: 12, STF files: 340}
why:
  description: Why the database is unavailable; empty if it answered.
  returned: always
  type: str
  sample: ""
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.monitor_database import (
    address,
    configured,
    connection,
    count,
    password_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.monitor_runner import (
    MonitorError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "path", "default": ""},
            "release": {"type": "path", "default": ""},
            "environment": {"type": "dict", "default": {}},
            "password": {"type": "str", "default": "", "no_log": True},
            "password_of": {"type": "str", "no_log": False},
            "ca_cert": {"type": "str", "default": ""},
            "user": {"type": "str", "default": ""},
            "former": {"type": "str", "default": ""},
        },
        required_one_of=[("config", "release")],
        mutually_exclusive=[("config", "release")],
        supports_check_mode=True,
    )
    options = module.params
    release, environment, password = options["release"], options["environment"], options["password"]
    where, reach, rows, why = options["config"], {}, {}, ""
    try:
        if options["config"]:
            environment, own = configured(options["config"])
            release, password = own["release"], password_of(environment, own)
        where, reach = address(environment), connection(environment)
        rows = count(release, environment, options["user"], password, options["ca_cert"])
    except (MonitorError, ConfigError, OSError, KeyError, ValueError) as error:
        why = " ".join(str(error).split())
    module.exit_json(changed=False, address=where, connection=reach, rows=rows, why=why)


if __name__ == "__main__":
    main()
