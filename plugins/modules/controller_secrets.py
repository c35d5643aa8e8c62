#!/usr/bin/python
# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: controller_secrets
short_description: Export the secrets of a controller to a vault file, or import them from one
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - With O(state=exported), writes the secrets that the controller has for the hosts of the play to
    one file, encrypted with Ansible Vault. The inventory of a team can use this file unchanged as
    C(group_vars/all/vault.yml). Its variables are C(swf_testbed_index_token),
    C(swf_testbed_broker_password), C(swf_testbed_database_password),
    C(swf_testbed_redis_password), C(swf_testbed_monitor_secret_key), C(swf_testbed_api_token),
    C(swf_testbed_digest_key) and C(swf_testbed_lab_ca), which contains the lab's CA, B(its key), and its issued certificates.
  - With O(state=imported), writes the secrets of such a file to C(swf_testbed_controller_dir), where
    the lookups P(bnlnpps.swf_testbed.secret#lookup) and
    P(bnlnpps.swf_testbed.host_certificate#lookup) find them.
  - Generates no secret. Secrets from the inventory are exported, too.
  - Encrypts with the vault password of the run. Of several vault ids,
    C(ANSIBLE_VAULT_ENCRYPT_IDENTITY) selects one.
  - Runs only on the controller. Use it with C(run_once), in a play for all hosts that have these
    secrets.
options:
  state:
    description: The direction.
    type: str
    choices: [exported, imported]
    required: true
  path:
    description:
      - Path of the vault file on the controller, mode 0600.
      - An existing file is not overwritten if it is not encrypted, cannot be decrypted, or contains
        values that this controller does not have.
    type: path
    required: true
  force:
    description:
      - Whether an import replaces files that have another value. A copy of each is saved in the same
        directory.
      - Without it, such an import is refused before any file is written.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reports the files that would be written.
  diff_mode:
    support: none
    description: The changes are secret.
  action:
    support: full
    description: Is an action, and contacts no host.
"""

EXAMPLES = r"""
- name: Write the secrets to a file of the team's inventory
  bnlnpps.swf_testbed.controller_secrets:
    state: exported
    path: "{{ inventory_dir }}/group_vars/all/vault.yml"
  run_once: true

- name: Import them on a controller whose inventory does not contain them
  bnlnpps.swf_testbed.controller_secrets:
    state: imported
    path: ~/vault.yml
  run_once: true
"""

RETURN = r"""
path:
  description: Path of the vault file.
  returned: success
  type: str
  sample: /home/me/lab/group_vars/all/vault.yml
names:
  description: The variables in the file.
  returned: success
  type: list
  elements: str
  sample: [swf_testbed_index_token, swf_testbed_lab_ca]
certificates:
  description: The services with a certificate in the file.
  returned: on success, for O(state=exported)
  type: list
  elements: str
  sample: [broker, package-index]
files:
  description: Paths of the written files.
  returned: on success, for O(state=imported)
  type: list
  elements: str
  sample: [/home/me/.local/share/swf-testbed-controller/secrets/index_token]
copies:
  description: Paths of the copies of the replaced files.
  returned: on success, for O(state=imported)
  type: list
  elements: str
  sample: []
"""
