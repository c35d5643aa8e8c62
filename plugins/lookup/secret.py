# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
short_description: A secret that is generated once and stored on the controller
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Returns the content of a file on the controller. A missing file is created, readable only by its
    owner, with 160 random bits in 40 hexadecimal characters (the length of a Django REST framework
    token).
  - In check mode nothing is written, and a missing secret is returned as 40 zeros, in contrast to
    P(ansible.builtin.password#lookup).
options:
  _terms:
    description: Names of the secrets, each the name of a file.
    type: list
    elements: str
    required: true
  directory:
    description: Directory on the controller for the secrets. It is created with mode 0700.
    type: path
    required: true
notes:
  - Parallel runs get the same secret, the one that was written first.
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
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._inventory._variables import (
    GENERATED_LATER,
)


def read_or_make(directory: str, name: str, check_mode: bool) -> str:
    """The secret of that name; created if it is missing, except in check mode. Raises OSError,
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
            # link, unlike rename, does not replace the secret of a faster run
            os.link(scratch, path)
        except FileExistsError:
            pass
    finally:
        os.unlink(scratch)
    return read_or_make(directory, name, check_mode)


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        directory = os.path.expanduser(self.get_option("directory"))
        check_mode = bool((variables or {}).get("ansible_check_mode"))
        found = []
        for name in terms:
            try:
                found.append(read_or_make(directory, name, check_mode))
            except (OSError, ValueError) as error:
                raise AnsibleError(
                    "secret: cannot read or create %s in %s on the controller. Evidence: %s. Fix: "
                    "check the directory and its permissions" % (name, directory, error)
                ) from error
        return found
