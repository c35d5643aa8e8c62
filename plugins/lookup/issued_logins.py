# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: issued_logins
short_description: The logins that were issued to developers
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Returns the logins that M(bnlnpps.swf_testbed.login_credentials) has issued and not revoked, with
    their secrets, from the file C(secrets/issued_logins.json) on the controller.
options:
  _terms:
    description: The directory of the controller, C(swf_testbed_controller_dir).
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Show the names of the issued logins
  ansible.builtin.debug:
    msg: "{{ query('bnlnpps.swf_testbed.issued_logins', swf_testbed_controller_dir)[0] | map(attribute='login') }}"
"""

RETURN = r"""
_raw:
  description: A list of logins for each directory, each with C(login), C(namespace), C(password)
    and C(token).
  type: list
  elements: list
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._issued_logins import IssuedLogins


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[list[dict[str, str]]]:
        self.set_options(var_options=variables, direct=kwargs)
        found = []
        for directory in terms:
            logins = IssuedLogins(directory)
            try:
                found.append(logins.logins())
            except (OSError, ValueError, KeyError) as error:
                raise AnsibleError(
                    "issued_logins: the list of issued logins cannot be read. Evidence: %s: %s. "
                    "Fix: restore the file from a backup, or correct it"
                    % (logins.path, type(error).__name__)
                ) from None
        return found
