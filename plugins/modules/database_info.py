#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_info
short_description: Count the history in the monitor's database
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Counts the runs, files and messages in a database of the monitor, with the settings and drivers
    of a release and as its user.
  - With O(config), that is the database which the monitor of the host is configured for. With
    O(release) and O(environment), it is one that the monitor is going to have.
  - With O(former), refuses a database without history if a host of the play has registered one with
    history under this name. A former database that cannot be asked counts as one with history, and
    so does that of a host which is not in the play.
options:
  config:
    description: Path of the supervisord.conf in use.
    type: path
    default: ""
  release:
    description: Directory of the release to ask with.
    type: path
    default: ""
  environment:
    description: Environment of the monitor's programs. Secrets are not in it.
    type: dict
    default: {}
  password:
    description: The password of the database. Use O(password_of) in a playbook, since callback
      plugins see arguments of tasks.
    type: str
    default: ""
  password_of:
    description: Name of the variable that has the O(password).
    type: str
  ca_cert:
    description: The certificates of the CA of the database, as text.
    type: str
    default: ""
  user:
    description: The user that runs the monitor, where that is another one.
    type: str
    default: ""
  former:
    description: Name of the variable under which hosts registered what this module found with
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
- name: Look into the database that the monitor has
  bnlnpps.swf_testbed.database_info:
    config: /etc/swf-testbed/supervisord.conf
    user: swf-testbed
  register: former_database

- name: Leave no history behind
  bnlnpps.swf_testbed.database_info:
    release: "{{ swf_testbed_release.path }}"
    environment: {SWF_MONITOR_DATA_DIR: /var/lib/swf-testbed/monitor}
    password_of: swf_testbed_database_password
    user: swf-testbed
    former: former_database
"""

RETURN = r"""
address:
  description: The database that was asked.
  returned: always
  type: str
  sample: postgresql://db.lab.example:5432/swf_testbed
connection:
  description: What commands need to reach it, C(host), C(port), C(name) and C(user), or C(path).
  returned: always
  type: dict
  sample: {host: db.lab.example, port: 5432, name: swf_testbed, user: swf_testbed}
rows:
  description: How many rows of each kind there are. Kinds without rows are left out.
  returned: always
  type: dict
  sample: {runs: 12, STF files: 340}
why:
  description: Why it could not be asked; empty if it answered.
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


def main():
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
