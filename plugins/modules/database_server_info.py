#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_server_info
short_description: Find the PostgreSQL server that systemd runs on a host
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Debian, the packages of EL and those of PGDG for EL have different units and directories. The
    module finds what is on the host, including a data directory in another place.
  - The order is the server with the configuration of the role
    P(bnlnpps.swf_testbed.database#role), a running one, one with a cluster, an installed one, and
    then the one that the packages of the platform will bring.
  - It fails if the installed programs cannot read the cluster.
options:
  layouts:
    description: The layouts of the packages of the platform. C({version}) in them stands for the
      major version. The first is used if there is no server.
    type: list
    elements: dict
    required: true
    suboptions:
      unit:
        description: The unit.
        type: str
        required: true
      package:
        description: The package with the server.
        type: str
        required: true
      install:
        description: The argument of the package manager that installs the package, such as the profile
          of a module. Empty if it is the name of the package.
        type: str
        default: ""
      programs:
        description: Directory of the programs.
        type: str
        required: true
      config:
        description: Directory of the configuration.
        type: str
        required: true
      data:
        description: Directory of the cluster. The environment variable C(PGDATA) of the unit and
          C(data_directory) in C(postgresql.conf) override it.
        type: str
        required: true
      initialise:
        description: Command that creates the cluster. Empty if the package does it.
        type: str
        default: ""
  version:
    description: Major version of the server. V(0) for any.
    type: int
    default: 0
  default_version:
    description: Major version of the package of the platform. V(0) if it is unknown.
    type: int
    default: 0
extends_documentation_fragment:
  - bnlnpps.swf_testbed.read_only
"""

EXAMPLES = r"""
- name: Find the server of PGDG
  bnlnpps.swf_testbed.database_server_info:
    layouts:
      - unit: postgresql-{version}.service
        package: postgresql{version}-server
        programs: /usr/pgsql-{version}/bin
        config: /etc/swf-database
        data: /var/lib/pgsql/{version}/data
        initialise: /usr/pgsql-{version}/bin/postgresql-{version}-setup initdb
  register: database_server
"""

RETURN = r"""
server:
  description: The server. C(installed) says whether its programs are on the host, C(cluster) whether
    its data directory has a cluster, C(active) whether systemd runs it, and C(ours) whether it has
    the configuration of the role.
  returned: success
  type: dict
  sample:
    active: true
    cluster: true
    config: /etc/swf-database
    data: /var/lib/pgsql/16/data
    initialise: /usr/pgsql-16/bin/postgresql-16-setup initdb
    install: postgresql16-server
    installed: true
    ours: false
    package: postgresql16-server
    programs: /usr/pgsql-16/bin
    unit: postgresql-16.service
    version: 16
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import postgresql
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.lease import hold

TEXT = {"type": "str", "required": True}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "layouts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "unit": TEXT,
                    "package": TEXT,
                    "install": {"type": "str", "default": ""},
                    "programs": TEXT,
                    "config": TEXT,
                    "data": TEXT,
                    "initialise": {"type": "str", "default": ""},
                },
            },
            "version": {"type": "int", "default": 0},
            "default_version": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    hold(module)
    options = module.params
    try:
        server = postgresql.find(options["layouts"], options["version"], options["default_version"])
    except (postgresql.ServerError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, server=server.as_dict())


if __name__ == "__main__":
    main()
