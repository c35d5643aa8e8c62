# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: monitor_users
short_description: The accounts of the monitor with hashed passwords
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Returns the name of each account and a hash of its password, as the monitor reads them from a
    file.
  - An account without a password gets one that is generated once and stored on the controller, in
    the file C(monitor_user_NAME). The run names the file when it generates the password. In check
    mode none is generated.
options:
  _terms:
    description: Lists of accounts, as C(swf_testbed_monitor_users).
    type: list
    elements: list
    required: true
  key:
    description: A secret key. The salt of a hash depends on it, the name and the password, so that a
      second run returns the same hash.
    type: str
    required: true
  directory:
    description: Directory on the controller for the generated passwords.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Place the accounts of the monitor
  ansible.builtin.copy:
    content: "{{ accounts | to_json }}"
    dest: /etc/app/users.json
    mode: "0600"
  vars:
    accounts: "{{ lookup('bnlnpps.swf_testbed.monitor_users', my_users, key=my_key, directory='~/.app', wantlist=True)[0] }}"
"""

RETURN = r"""
_raw:
  description: A list of accounts for each list, each with C(name) and C(hash).
  type: list
  elements: list
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.bnlnpps.swf_testbed.plugins.lookup.secret import read_or_make
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.text import not_text
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._held_secrets import (
    password_file,
)

# about 0.2 s
ITERATIONS = 600_000


def hashed(name: str, password: str, key: str) -> str:
    """The hash of a password in the format of Django."""
    about = ("monitor:%s\0%s" % (name, password)).encode()
    salt = hmac.new(key.encode(), about, hashlib.sha256).hexdigest()[:32]
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), ITERATIONS)
    return "pbkdf2_sha256$%d$%s$%s" % (ITERATIONS, salt, base64.b64encode(digest).decode())


class LookupModule(LookupBase):
    def run(
        self,
        terms: list[list[dict[str, Any]]],
        variables: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> list[list[dict[str, str]]]:
        self.set_options(var_options=variables, direct=kwargs)
        key = str(self.get_option("key"))
        found = []
        for users in terms:
            accounts = []
            for user in users:
                name = str(user["name"])
                password = self._password(name, user, variables)
                accounts.append({"name": name, "hash": hashed(name, password, key)})
            found.append(accounts)
        return found

    def _password(
        self, name: str, user: Mapping[str, Any], variables: dict[str, Any] | None
    ) -> str:
        given = user.get("password")
        if given is not None:
            problem = not_text("the password of %s" % name, given)
            if problem:
                raise AnsibleError("monitor_users: " + problem)
            return str(given)
        directory = os.path.expanduser(self.get_option("directory"))
        path = os.path.join(directory, password_file(name))
        new = not os.path.exists(path)
        check_mode = bool((variables or {}).get("ansible_check_mode"))
        try:
            password = read_or_make(directory, password_file(name), check_mode)
        except (OSError, ValueError) as error:
            raise AnsibleError(
                "monitor_users: cannot read or create %s on the controller. Evidence: %s. Fix: check "
                "the directory and its permissions" % (path, error)
            ) from error
        if new and os.path.exists(path):
            Display().display(
                "    The password of %s for the monitor was generated: %s" % (name, path)
            )
        return password
