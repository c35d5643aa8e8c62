# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host reaches a service: its name resolves, its port is open, and its TLS certificate
is trusted."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.certificate_der import (
    from_der,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.certificates import (
    RENEW,
    stamp,
    time_problem,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.client import why_untrusted
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.sockets import (
    TlsNotOfferedError,
    connect,
    local,
    postgresql_socket,
    secured,
    unverified,
)


def reach(item: Mapping[str, Any], timeout: float, days: int) -> list[Finding]:
    """Findings for the connection of this host to a service.

    :param item: one of the option ``reach`` of the module host_check.
    """
    host, port = item["host"].strip("[]"), item["port"]
    where = "%s:%d" % (item["host"], port)
    if host.startswith("/"):
        return local_socket(item, postgresql_socket(host, port), timeout)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        return [
            finding(
                "name",
                "the name of the %s does not resolve on this host" % item["name"],
                "%s: %s" % (host, getattr(error, "strerror", None) or error),
                "Correct %s, or this host's DNS or /etc/hosts: getent hosts %s"
                % (item["variable"], host),
            )
        ]
    try:
        connect(host, port, timeout).close()
    except OSError as error:
        return [unconnected(item, where, error, timeout)]
    return tls_problems(item, host, where, timeout, days) if item["tls"] != "off" else []


def unconnected(item: Mapping[str, Any], where: str, error: OSError, timeout: float) -> Finding:
    if isinstance(error, ConnectionRefusedError):
        return nothing_listens(item, where, error)
    late = isinstance(error, (socket.timeout, TimeoutError))
    why = "no answer in %d s" % timeout if late else error.strerror or str(error)
    return finding(
        "connection",
        "this host cannot reach the %s" % item["name"],
        "%s: %s" % (where, why),
        "Check that its host is up, the firewalls between both hosts, and %s" % item["variable"],
    )


def nothing_listens(item: Mapping[str, Any], where: str, error: OSError) -> Finding:
    """The host answers: that part of the testbed may not be installed yet."""
    fix = "Look at the status: ansible-playbook playbooks/status.yml. Or correct %s"
    return finding(
        "connection",
        "nothing listens at the address of the %s" % item["name"],
        "%s: %s" % (where, error.strerror),
        fix % item["variable"],
        provider=item["provider"] or None,
    )


def local_socket(item: Mapping[str, Any], path: str, timeout: float) -> list[Finding]:
    try:
        local(path, timeout).close()
    except OSError as error:
        return [nothing_listens(item, path, error)]
    return []


def tls_problems(
    item: Mapping[str, Any], host: str, where: str, timeout: float, days: int
) -> list[Finding]:
    what = "the certificate of the %s at %s" % (item["name"], where)
    try:
        context = ssl.create_default_context(cadata=item["ca"] or None)
    except ssl.SSLError:
        return [
            finding(
                "certificate",
                "the CA of the %s cannot be used" % item["name"],
                "it contains no PEM certificate",
                "Set swf_testbed_ca_cert to the CA's certificate",
            )
        ]
    try:
        certificate = from_der(handshake(item, host, timeout, context))
    except ssl.SSLCertVerificationError as error:
        return [untrusted(item, what, host, timeout, error)]
    except TlsNotOfferedError:
        return [
            finding(
                "tls",
                "the %s does not offer TLS" % item["name"],
                "it declined TLS at %s" % where,
                "Enable TLS there, or correct %s" % item["variable"],
            )
        ]
    except OSError as error:
        text = getattr(error, "reason", None) or error.strerror or str(error)
        return [
            finding(
                "tls",
                "the TLS handshake with the %s fails" % item["name"],
                "%s: %s" % (where, str(text).replace("_", " ").lower()),
                "Look for the reason with: openssl s_client -connect %s" % where,
            )
        ]
    soon = time_problem(what, certificate, days)
    return [soon] if soon else []


def handshake(item: Mapping[str, Any], host: str, timeout: float, context: ssl.SSLContext) -> bytes:
    """The certificate of a server, in DER.

    :raises OSError, TlsNotOfferedError:
    """
    with connect(host, item["port"], timeout) as plain:
        with secured(plain, item["tls"], host, context) as secure:
            return secure.getpeercert(binary_form=True) or b""


def untrusted(
    item: Mapping[str, Any],
    what: str,
    host: str,
    timeout: float,
    error: ssl.SSLCertVerificationError,
) -> Finding:
    """The finding for a certificate that is not trusted, with its dates and names."""
    # only to read the certificate: nothing is sent over this connection
    try:
        shown = from_der(handshake(item, host, timeout, unverified()))
    except (OSError, ValueError, TlsNotOfferedError):
        shown = None
    verdict, evidence = why_untrusted(error, host)
    if verdict == "tls_expired":
        late = shown and time_problem(what, shown, 0)
        return late or finding(
            "certificate", "%s is not valid at this time" % what, evidence, RENEW
        )
    if verdict == "tls_hostname":
        names = (", ".join(shown.names) or "no names") if shown else "other names"
        return finding(
            "certificate",
            "%s does not cover the name" % what,
            "the address is %s, and it covers %s" % (host, names),
            "Correct %s, or have the certificate issued for %s" % (item["variable"], host),
        )
    ends = "; the certificate expires on %s" % stamp(shown.ends) if shown else ""
    return finding(
        "certificate",
        "this host does not trust the CA of %s" % what,
        evidence + ends,
        "Set swf_testbed_ca_cert to the certificate of its CA, and run: ansible-playbook site.yml",
    )
