#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: login_credentials
short_description: Issue or revoke the credentials of one developer for a shared testbed
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - With O(state=issued), generates a password for the broker and a token for the API of the monitor,
    adds the login to the list of issued logins in C(swf_testbed_controller_dir), and writes one file
    for the inventory of the developer, encrypted with Ansible Vault. Its variables are the addresses
    of the broker and the monitor, the two secrets, the namespace of the login, the beginning of the
    names of its scratch addresses at the broker, and the CA of the testbed. If the inventory has a
    private index, and C(swf_testbed_package_index_users) a user who may only read, it has the access
    of that user, too.
  - With O(state=revoked), removes the login from the list, and records that without its secrets.
  - The list is data of the inventory like other secrets. The roles place it on the hosts of the broker and
    the monitor, which follow it while they run.
  - The namespace of a login has its name. In the broker, the login may use the destinations whose
    names begin with C(swf.LOGIN.). At the monitor, it reads everything and changes this namespace
    alone.
  - Encrypts with the vault password of the run. Of several vault ids, it uses the one with the name of the
    login, or the one that C(ANSIBLE_VAULT_ENCRYPT_IDENTITY) selects.
  - Runs only on the controller. Use it with C(run_once), in a play for all hosts of the testbed.
options:
  state:
    description: Whether the login is valid.
    type: str
    choices: [issued, revoked]
    required: true
  login:
    description: Name of the login, at most 32 lowercase letters, digits, C(_) and C(-).
    type: str
    required: true
  path:
    description: Path of the file on the controller, mode 0600. The default is C(LOGIN.yml) in
      C(swf_testbed_controller_dir).
    type: path
    default: ""
attributes:
  check_mode:
    support: full
    description: Changes no file.
  diff_mode:
    support: none
    description: The changes are secret.
  action:
    support: full
    description: Is an action, and contacts no host.
"""

EXAMPLES = r"""
- name: Issue the credentials of a developer
  bnlnpps.swf_testbed.login_credentials:
    state: issued
    login: alice
    path: alice.yml
  run_once: true
"""

RETURN = r"""
login:
  description: Name of the login.
  returned: success
  type: str
  sample: alice
namespace:
  description: Its namespace.
  returned: success
  type: str
  sample: alice
path:
  description: Path of the file.
  returned: on success, for O(state=issued)
  type: str
  sample: /home/me/alice.yml
names:
  description: The variables in the file.
  returned: on success, for O(state=issued)
  type: list
  elements: str
  sample: [swf_testbed_broker_user, swf_testbed_broker_password]
instructions:
  description: The steps of the administrators of external services, without secrets.
  returned: success
  type: list
  elements: str
  sample: []
"""
