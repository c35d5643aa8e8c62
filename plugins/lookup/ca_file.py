# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: ca_file
short_description: A file on the controller with the certificates of a CA
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Writes certificates that a variable contains to a file, and returns its path. The same certificates
    have the same path.
  - In check mode nothing is written.
options:
  _terms:
    description: The certificates, in PEM.
    type: list
    elements: str
    required: true
  directory:
    description: The directory of the controller. The files are in C(ca) below it.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Show the path
  ansible.builtin.debug:
    msg: "{{ lookup('bnlnpps.swf_testbed.ca_file', swf_testbed_ca_text, directory=swf_testbed_controller_dir) }}"
"""

RETURN = r"""
_raw:
  description: The paths, in the order of the certificates.
  type: list
  elements: path
"""

import hashlib
import os
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import (
    read,
    replacing,
)


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        folder = os.path.join(os.path.expanduser(self.get_option("directory")), "ca")
        found = []
        for text in terms:
            content = text.strip() + "\n"
            digest = hashlib.sha256(content.encode()).hexdigest()[:12]
            path = os.path.join(folder, "given-%s.pem" % digest)
            found.append(path)
            try:
                if read(path) == content.encode() or (variables or {}).get("ansible_check_mode"):
                    continue
                os.makedirs(folder, mode=0o755, exist_ok=True)
                with replacing(path, 0o644) as stream:
                    stream.write(content)
            except OSError as error:
                raise AnsibleError(
                    "ca_file: cannot write %s on the controller. Evidence: %s. Fix: check the "
                    "directory and its permissions" % (path, error)
                ) from error
        return found
