#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_role
short_description: Make a role of PostgreSQL whose password the task does not carry
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Runs M(community.postgresql.postgresql_user) on the host. The task names the variable with the password, so that no callback
    plugin sees the password among the arguments of the task. It would with that module itself, even with C(no_log).
options:
  name:
    description: Name of the role.
    type: str
    required: true
  password_of:
    description: Name of the variable with the password, which must be text.
    type: str
    required: true
  role_attr_flags:
    description: Attributes of the role, separated by commas.
    type: str
    default: ""
  login_unix_socket:
    description: Directory of the server's socket.
    type: str
    default: ""
  login_port:
    description: Port of the server.
    type: int
    default: 5432
  login_db:
    description: Database to log in to.
    type: str
    default: ""
requirements:
  - the collection community.postgresql (on the controller)
  - psycopg2 (on the host)
attributes:
  check_mode:
    support: full
    description: Predicts the change and makes none.
  diff_mode:
    support: none
    description: There is nothing to show.
  action:
    support: full
    description: Has a corresponding action plugin, which reads the variable that O(password_of) names.
seealso:
  - module: community.postgresql.postgresql_user
"""

EXAMPLES = r"""
- name: Make the role
  bnlnpps.swf_testbed.database_role:
    name: monitor
    password_of: monitor_database_password
    role_attr_flags: LOGIN,NOSUPERUSER,NOCREATEDB,NOCREATEROLE
    login_unix_socket: /var/run/postgresql
  become: true
  become_user: postgres
"""

RETURN = r"""
user:
  description: Name of the role.
  returned: always
  type: str
  sample: monitor
"""
