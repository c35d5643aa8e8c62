# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: host_certificate
short_description: The TLS certificate of a service, given or issued by a lab CA that the controller
  keeps
version_added: 0.1.0
author:
  - BNL NPPS (@bnlnpps)
description:
  - Returns a certificate and its key. Both are made on the controller, so that hosts need nothing
    for it.
  - Without O(certificate) the lab CA issues it. The CA is made when the first certificate is asked
    for. Its key is C(secrets/lab-ca.key) in O(directory), mode 0600, and leaves the controller
    never; its certificate, which clients must trust, is C(ca/ca.pem).
  - A certificate that was issued is kept, and comes back until it is near its end, the names
    change, or the CA does. The CA's own certificate is renewed with the same key and name in its
    last two years, so that clients that have the older one go on trusting.
  - A given certificate is checked. One that belongs to another key, misses a name, or has ended is
    refused.
  - In check mode nothing is written. What would be issued is issued in memory, so that what follows
    shows a change.
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
    description: Directory on the controller for the CA and what it issues.
    type: path
    required: true
  days:
    description: Days for which a certificate is issued.
    type: int
    default: 397
  renew_days:
    description: A certificate is renewed when it has fewer days left than this.
    type: int
    default: 90
  certificate:
    description:
      - Path on the controller of a certificate of your own, in PEM, with those between it and its
        CA behind it. Empty to have one issued.
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
  - Runs at once, also for several hosts, get the same CA.
"""

EXAMPLES = r"""
- name: Place the certificate of the web server
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
  description: For each service its certificate and key.
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

from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    CertificateError,
    checked,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._lab_ca import LabCa


def obtain(services, options, read, check_mode):
    """The certificates and keys, given or issued.

    :param options: the lookup's own.
    :param read: what reads a file of the controller, decrypted if need be.
    :raises CertificateError, OSError
    """
    if bool(options["certificate"]) != bool(options["key"]):
        raise CertificateError("a certificate and its key are given together, or neither")
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
    def run(self, terms, variables=None, **kwargs):
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
                "host_certificate: cannot read or write %s on the controller: %s"
                % (error.filename, error.strerror)
            ) from None

    def _read(self, path):
        # the lookup that reads files also decrypts them, where a vault is used
        reader = lookup_loader.get(
            "ansible.builtin.file", loader=self._loader, templar=self._templar
        )
        return reader.run([os.path.abspath(os.path.expanduser(path))], variables={}, rstrip=False)[
            0
        ]
