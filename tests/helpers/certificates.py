# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a CA of the test, also such as the lab's CA would never issue; and a server that
shows one."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _lab_ca
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    general_name,
    now,
)


class Ca:
    """A CA in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.key = _lab_ca.new_key()
        self.certificate = _lab_ca.self_signed(self.key)
        self.pem = _lab_ca.pem_of(self.certificate)
        self.path = folder / "ca.pem"
        self.path.write_text(self.pem)

    def issued(self, name, names=("localhost", "127.0.0.1"), days=365.0):
        """(path of the certificate, path of its key); with negative days it ended that long ago."""
        issued = _lab_ca.issue(
            [general_name(item) for item in names], 3000, self.certificate, self.key
        )
        if days < 3000:
            issued = self._again(issued, days)
        certificate, key = self.folder / (name + ".pem"), self.folder / (name + ".key")
        certificate.write_text(issued["certificate"])
        key.write_text(issued["key"])
        return str(certificate), str(key)

    def _again(self, issued, days):
        """The same certificate with another end, and a beginning before that."""
        old = x509.load_pem_x509_certificate(issued["certificate"].encode())
        end = now() + datetime.timedelta(days=days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(old.subject)
            .issuer_name(old.issuer)
            .public_key(old.public_key())
        )
        builder = builder.serial_number(old.serial_number).not_valid_before(
            end - datetime.timedelta(days=400)
        )
        builder = builder.not_valid_after(end)
        for extension in old.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return dict(issued, certificate=_lab_ca.pem_of(builder.sign(self.key, hashes.SHA256())))


@contextlib.contextmanager
def tls_server(certificate, key, before=None):
    """A server on 127.0.0.1 that shakes hands over TLS; gives its port.

    :param before: ``postgresql`` for one that first takes the request for TLS, ``refuse`` for one
        that then says no.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def serve():
            while True:
                try:
                    plain, _address = server.accept()
                except OSError:
                    return
                # a client that only connects, or refuses the certificate, ends here
                with contextlib.suppress(OSError), plain:
                    plain.settimeout(10)
                    if before and plain.recv(8):
                        plain.sendall(b"N" if before == "refuse" else b"S")
                    with context.wrap_socket(plain, server_side=True) as secure:
                        secure.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            # accept() returns
            server.shutdown(socket.SHUT_RDWR)
            thread.join(15)
