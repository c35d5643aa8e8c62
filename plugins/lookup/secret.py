# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
short_description: A secret that is generated once and kept on the controller
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Returns the content of a file on the controller. When the file does not exist it is made,
    readable by its owner only, with 160 random bits in 40 hexadecimal characters (the length that a
    Django REST framework token has).
  - In check mode nothing is written, and a missing secret comes back as 40 zeros. This is where it
    differs from P(ansible.builtin.password#lookup).
options:
  _terms:
    description: Names of the secrets, each the name of a file.
    type: list
    elements: str
    required: true
  directory:
    description: Directory on the controller that holds the secrets. It is made with mode 0700.
    type: path
    required: true
notes:
  - Two runs at once get the same secret, the one that was written first.
"""

EXAMPLES = r"""
- name: Use one token on all hosts
  ansible.builtin.set_fact:
    api_token: "{{ lookup('bnlnpps.swf_testbed.secret', 'api_token', directory='~/.app/secrets') }}"
"""

RETURN = r"""
_raw:
  description: The secrets, in the order of the names.
  type: list
  elements: str
"""

import os
import secrets
import tempfile

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._known import (
    GENERATED_LATER,
)


def read_or_make(directory, name, check_mode):
    """The secret of that name; made if it is missing and this is no check run. Raises OSError,
    ValueError."""
    if os.path.basename(name) != name or name.startswith(".") or not name:
        raise ValueError("%r is not a file name" % name)
    path = os.path.join(directory, name)
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        if check_mode:
            return GENERATED_LATER
    os.makedirs(directory, mode=0o700, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(20) + "\n")
        try:
            # link, unlike rename, leaves the secret of a run that was faster
            os.link(scratch, path)
        except FileExistsError:
            pass
    finally:
        os.unlink(scratch)
    return read_or_make(directory, name, check_mode)


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        directory = os.path.expanduser(self.get_option("directory"))
        check_mode = bool((variables or {}).get("ansible_check_mode"))
        found = []
        for name in terms:
            try:
                found.append(read_or_make(directory, name, check_mode))
            except (OSError, ValueError) as error:
                raise AnsibleError(
                    "secret: cannot read or make %s in %s on the controller: %s"
                    % (name, directory, error)
                ) from error
        return found
