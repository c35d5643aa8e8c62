# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to services, with TLS where the service has it."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Mapping
from typing import Any

# PostgreSQL's SSLRequest message: its length, and its code
POSTGRESQL_TLS = struct.pack("!ii", 8, 80877103)


class TlsNotOfferedError(Exception):
    """The server declines TLS."""


def connect(host: str, port: int, timeout: float) -> socket.socket:
    return socket.create_connection((host, port), timeout=timeout)


def local(path: str, timeout: float) -> socket.socket:
    """A connection to a Unix socket."""
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(timeout)
    try:
        stream.connect(path)
    except OSError:
        stream.close()
        raise
    return stream


def postgresql_socket(directory: str, port: int) -> str:
    return os.path.join(directory, ".s.PGSQL.%d" % port)


def offers_tls(plain: socket.socket) -> bool:
    """Ask a PostgreSQL for TLS. If it declines, the connection can be used without."""
    plain.sendall(POSTGRESQL_TLS)
    return plain.recv(1) == b"S"


def secured(plain: socket.socket, tls: str, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    """The connection with TLS.

    :param tls: ``on``, or ``postgresql`` for the negotiation of PostgreSQL.
    :raises OSError, TlsNotOfferedError:
    """
    if tls == "postgresql" and not offers_tls(plain):
        raise TlsNotOfferedError
    return context.wrap_socket(plain, server_hostname=host)


def unverified() -> ssl.SSLContext:
    """TLS that accepts every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def pinned(plain: socket.socket, certificate: str) -> ssl.SSLSocket:
    """TLS with the very certificate that is in a file of this host.

    :raises OSError: the server has another one.
    """
    with open(certificate, encoding="ascii") as stream:
        first = stream.read().partition("-----END CERTIFICATE-----")
    wanted = ssl.PEM_cert_to_DER_cert(first[0][first[0].index("-----BEGIN") :] + first[1])
    connection = unverified().wrap_socket(plain)
    if connection.getpeercert(binary_form=True) != wanted:
        connection.close()
        raise ConnectionError("its certificate is not the one in %s" % certificate)
    return connection


def opened(item: Mapping[str, Any], timeout: float) -> socket.socket:
    """A connection as the programs of the testbed open it.

    :param item: one of the option ``reach`` of the module host_check.
    :raises OSError, TlsNotOfferedError:
    """
    host = item["host"].strip("[]")
    if host.startswith("/"):
        return local(postgresql_socket(host, item["port"]), timeout)
    plain = connect(host, item["port"], timeout)
    try:
        if item["tls"] != "off":
            context = ssl.create_default_context(cadata=item["ca"] or None)
            return secured(plain, item["tls"], host, context)
        # without a CA the clients of PostgreSQL use TLS if the server offers it
        if item["protocol"] == "postgresql" and offers_tls(plain):
            return unverified().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
    return plain
