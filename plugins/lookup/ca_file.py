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


def written(text: str, directory: str, check_mode: bool) -> str:
    """The path of the file with these certificates; written if it is missing, except in check mode.

    :raises OSError:
    """
    content = text.strip() + "\n"
    folder = os.path.join(directory, "ca")
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    path = os.path.join(folder, "given-%s.pem" % digest)
    if not check_mode and read(path) != content.encode():
        os.makedirs(folder, mode=0o755, exist_ok=True)
        with replacing(path, 0o644) as stream:
            stream.write(content)
    return path


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        directory = os.path.expanduser(self.get_option("directory"))
        check_mode = bool((variables or {}).get("ansible_check_mode"))
        try:
            return [written(text, directory, check_mode) for text in terms]
        except OSError as error:
            raise AnsibleError(
                "ca_file: cannot write the certificates below %s on the controller. Evidence: %s. "
                "Fix: check the directory and its permissions" % (directory, error)
            ) from error
