# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: host_certificate
short_description: The TLS certificate of a service, provided or issued by a lab CA on the
  controller
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Returns a certificate and its key. Both are created on the controller, so that hosts need no
    tools for it.
  - Without O(certificate) the lab CA issues it. The first certificate creates the CA. Its key is
    C(secrets/lab-ca.key) in O(directory), with mode 0600, and never leaves the controller; its
    certificate, which clients must trust, is C(ca/ca.pem).
  - An issued certificate is stored and returned until it expires soon, or the names or the CA
    change. The CA's own certificate is renewed with the same key and name in its last two years, so
    that clients with the older one still trust it.
  - A provided certificate is checked. It is an error if it does not match the key, lacks a name, or
    has expired.
  - In check mode nothing is written. New certificates are issued in memory, so that later tasks
    report a change.
options:
  _terms:
    description: Names of the services, each the name of a file.
    type: list
    elements: str
    required: true
  names:
    description: The DNS names and addresses that clients use.
    type: list
    elements: str
    required: true
  directory:
    description: Directory on the controller for the CA and its certificates.
    type: path
    required: true
  days:
    description: Validity of an issued certificate, in days.
    type: int
    default: 397
  renew_days:
    description: Remaining days below which a certificate is renewed.
    type: int
    default: 90
  certificate:
    description:
      - Path on the controller of your own certificate, in PEM, followed by the intermediate
        certificates. If empty, one is issued.
    type: str
    default: ""
  key:
    description:
      - Path on the controller of the key to O(certificate), in PEM, without a password. It may be
        encrypted with Ansible Vault.
    type: str
    default: ""
requirements:
  - cryptography (ansible-core has it)
notes:
  - Parallel runs, also for several hosts, get the same CA.
"""

EXAMPLES = r"""
- name: Install the certificate of the web server
  bnlnpps.swf_testbed.config_files:
    files:
      - dest: /etc/app/tls.pem
        content: "{{ app_tls.certificate }}"
      - dest: /etc/app/tls.key
        content: "{{ app_tls.key }}"
        secret: true
  no_log: true
  vars:
    app_tls: "{{ lookup('bnlnpps.swf_testbed.host_certificate', 'app', names=['app.example.org'], directory='~/.app') }}"
"""

RETURN = r"""
_raw:
  description: The certificate and key of each service.
  type: list
  elements: dict
  contains:
    certificate:
      description: The certificate in PEM.
      type: str
    key:
      description: The key in PEM. A secret.
      type: str
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    CertificateError,
    checked,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._lab_ca import LabCa


def obtain(
    services: list[str], options: Mapping[str, Any], read: Callable[[str], str], check_mode: bool
) -> list[dict[str, str]]:
    """The certificates and keys, provided or issued.

    :param options: the lookup's own.
    :param read: reads a file of the controller, and decrypts it if necessary.
    :raises CertificateError, OSError
    """
    if bool(options["certificate"]) != bool(options["key"]):
        raise CertificateError("only one of certificate and key is set. Fix: set both, or neither")
    if options["certificate"]:
        return [
            checked(read(options["certificate"]), read(options["key"]), options["names"])
            for _service in services
        ]
    authority = LabCa(os.path.expanduser(options["directory"]), check_mode)
    return [
        authority.issued(service, options["names"], options["days"], options["renew_days"])
        for service in services
    ]


class LookupModule(LookupBase):
    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, str]]:
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return obtain(
                terms,
                self.get_options(),
                self._read,
                bool((variables or {}).get("ansible_check_mode")),
            )
        except CertificateError as error:
            raise AnsibleError("host_certificate: %s: %s" % (" ".join(terms), error)) from None
        except OSError as error:
            raise AnsibleError(
                "host_certificate: cannot read or write %s on the controller. Evidence: %s. Fix: "
                "check the path and its permissions" % (error.filename, error.strerror)
            ) from None

    def _read(self, path: str) -> str:
        # this lookup also decrypts files with Ansible Vault
        reader = lookup_loader.get(
            "ansible.builtin.file", loader=self._loader, templar=self._templar
        )
        return reader.run([os.path.abspath(os.path.expanduser(path))], variables={}, rstrip=False)[
            0
        ]
