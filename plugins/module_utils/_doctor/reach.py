# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host reaches a service: its name resolves, something listens, and its TLS
certificate is one to trust."""

from __future__ import annotations

import os
import socket
import ssl
import struct

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import finding
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.certificate_der import (
    from_der,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.certificates import (
    RENEW,
    stamp,
    time_problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.client import why_untrusted

# what a client of PostgreSQL says before TLS begins: the length, and the number of this request
POSTGRESQL_TLS = struct.pack("!ii", 8, 80877103)


def reach(item, timeout, days):
    """What keeps this host from a service; an empty list if nothing does.

    :param item: one of the option ``reach`` of the module host_check.
    """
    host, port = item["host"].strip("[]"), item["port"]
    where = "%s:%d" % (item["host"], port)
    if host.startswith("/"):
        return local_socket(item, os.path.join(host, ".s.PGSQL.%d" % port))
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        return [
            finding(
                "name",
                "the name of the %s does not resolve on this host" % item["name"],
                "%s: %s" % (host, getattr(error, "strerror", None) or error),
                "Mend %s, or this host's DNS or /etc/hosts: getent hosts %s"
                % (item["variable"], host),
            )
        ]
    try:
        connect(host, port, timeout).close()
    except OSError as error:
        return [unconnected(item, where, error, timeout)]
    return tls_problems(item, host, where, timeout, days) if item["tls"] != "off" else []


def connect(host, port, timeout):
    return socket.create_connection((host, port), timeout=timeout)


def unconnected(item, where, error, timeout):
    if isinstance(error, ConnectionRefusedError):
        # the host is there and said no: that part of the testbed may only not be installed yet
        return finding(
            "connection",
            "nothing listens at the address of the %s" % item["name"],
            "%s: %s" % (where, error.strerror),
            "See what runs there: ansible-playbook playbooks/status.yml. Or mend %s"
            % item["variable"],
            provider=item["provider"] or None,
        )
    why = (
        "no answer in %d s" % timeout
        if isinstance(error, (socket.timeout, TimeoutError))
        else error.strerror or str(error)
    )
    return finding(
        "connection",
        "this host cannot reach the %s" % item["name"],
        "%s: %s" % (where, why),
        "Check that its host is up, the firewalls between the two, and %s" % item["variable"],
    )


def local_socket(item, path):
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except OSError as error:
        return [
            finding(
                "connection",
                "nothing listens at the socket of the %s" % item["name"],
                "%s: %s" % (path, error.strerror),
                "See what runs: ansible-playbook playbooks/status.yml. Or mend %s"
                % item["variable"],
                provider=item["provider"] or None,
            )
        ]
    return []


def tls_problems(item, host, where, timeout, days):
    what = "the certificate of the %s at %s" % (item["name"], where)
    try:
        context = ssl.create_default_context(cadata=item["ca"] or None)
    except ssl.SSLError:
        return [
            finding(
                "certificate",
                "the CA of the %s cannot be used" % item["name"],
                "it is no certificate in PEM",
                "Set swf_testbed_ca_cert to the CA's certificate",
            )
        ]
    try:
        certificate = from_der(handshake(item, host, timeout, context))
    except ssl.SSLCertVerificationError as error:
        return [untrusted(item, what, host, timeout, error)]
    except NoTls:
        return [
            finding(
                "tls",
                "the %s does not offer TLS" % item["name"],
                "it says so at %s" % where,
                "Have it speak TLS, or mend %s" % item["variable"],
            )
        ]
    except OSError as error:
        text = getattr(error, "reason", None) or error.strerror or str(error)
        return [
            finding(
                "tls",
                "no TLS connection to the %s comes about" % item["name"],
                "%s: %s" % (where, str(text).replace("_", " ").lower()),
                "Look at it with: openssl s_client -connect %s" % where,
            )
        ]
    soon = time_problem(what, certificate, days)
    return [soon] if soon else []


class NoTls(Exception):
    """The server says that it has no TLS."""


def handshake(item, host, timeout, context):
    """The certificate that a server shows, in DER.

    :raises OSError, NoTls:
    """
    with connect(host, item["port"], timeout) as plain:
        if item["tls"] == "postgresql":
            plain.sendall(POSTGRESQL_TLS)
            if plain.recv(1) != b"S":
                raise NoTls
        with context.wrap_socket(plain, server_hostname=host) as secure:
            return secure.getpeercert(binary_form=True)


def untrusted(item, what, host, timeout, error):
    """Why a certificate is not accepted, with what it says of itself."""
    # only to read it: nothing is sent over this connection
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    try:
        shown = from_der(handshake(item, host, timeout, blind))
    except (OSError, ValueError, NoTls):
        shown = None
    verdict, evidence = why_untrusted(error, host)
    if verdict == "tls_expired":
        late = shown and time_problem(what, shown, 0)
        return late or finding(
            "certificate", "%s is not valid at this time" % what, evidence, RENEW
        )
    if verdict == "tls_hostname":
        names = (", ".join(shown.names) or "no name") if shown else "other names"
        return finding(
            "certificate",
            "%s is for another name" % what,
            "%s is called, and it is for %s" % (host, names),
            "Mend %s, or have the certificate issued for %s" % (item["variable"], host),
        )
    ends = "; the certificate ends on %s" % stamp(shown.ends) if shown else ""
    return finding(
        "certificate",
        "%s comes from a CA that is not trusted here" % what,
        evidence + ends,
        "Set swf_testbed_ca_cert to the certificate of its CA, and run: ansible-playbook site.yml",
    )
