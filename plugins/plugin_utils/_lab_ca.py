# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate authority of the lab, in files on the controller."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    # ansible-core depends on it; only ansible-test imports plugins without
    pass

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import (
    LockHeld,
    exclusive,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    CertificateError,
    days_left,
    end_of,
    general_name,
    names_of,
    now,
    same_key,
)

# seconds to wait for another run, which needs a moment for each certificate
PATIENCE = 120
CA_DAYS = 3650
CA_RENEW_DAYS = 730
# hosts whose clocks are slow accept a new certificate, too
CLOCK_SKEW = datetime.timedelta(hours=1)
KEY_USAGE = dict.fromkeys(
    "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
    "key_cert_sign crl_sign encipher_only decipher_only".split(),
    False,
)
TERM = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")


class LabCa:
    """The CA of a directory: C(ca/ca.pem) for all users, C(secrets/lab-ca.key) and the keys of the
    services for the owner only."""

    def __init__(self, directory: str, check_mode: bool = False) -> None:
        self.check_mode = check_mode
        self.public = os.path.join(directory, "ca")
        self.secrets = os.path.join(directory, "secrets")
        self.certificate_path = os.path.join(self.public, "ca.pem")
        self.key_path = os.path.join(self.secrets, "lab-ca.key")

    def issued(
        self, service: str, names: Iterable[str], days: int, renew_days: int
    ) -> dict[str, str]:
        """The certificate and key of a service, as texts in PEM: the former ones if they are still
        valid.

        :raises CertificateError: a name cannot be in a certificate, or the CA is incomplete.
        :raises OSError: the files cannot be read or written.
        """
        if not TERM.match(service):
            raise CertificateError("%r is not a file name" % service)
        if not names:
            raise CertificateError("a certificate needs at least one name")
        if not 0 <= renew_days < days:
            raise CertificateError(
                "a certificate for %d days that is renewed in its last %d would be renewed by every run"
                % (days, renew_days)
            )
        wanted = [general_name(name) for name in dict.fromkeys(names)]
        path = self.path_of(service)
        with self.locked():
            authority, key = self._authority()
            found = self._reusable(path, wanted, renew_days, authority)
            if not found:
                found = issue(wanted, days, authority, key)
                # key and certificate in one file: they are replaced together or not at all
                self.write(path, found["key"] + found["certificate"])
            return found

    def path_of(self, service: str) -> str:
        """Where the key and certificate of a service are."""
        return os.path.join(self.secrets, "tls-%s.pem" % service)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the directory: lookups for several hosts run at the same time."""
        if self.check_mode:
            yield
            return
        os.makedirs(self.secrets, mode=0o700, exist_ok=True)
        os.makedirs(self.public, mode=0o755, exist_ok=True)
        try:
            with exclusive(os.path.join(self.secrets, ".lab-ca.lock"), PATIENCE):
                yield
        except LockHeld as error:
            raise CertificateError("another run uses the lab's CA: %s" % error) from error

    def _authority(self) -> tuple[x509.Certificate, Any]:
        """Certificate and key of the CA; created or renewed if necessary."""
        text, key_text = read(self.certificate_path), read(self.key_path)
        if text and not key_text:
            raise CertificateError(
                "the lab's CA has no key. Evidence: %s exists, and %s does not. Fix: restore the "
                "key from a backup. Without a backup: remove the certificate, then run again; "
                "every client gets the new CA with its next run"
                % (self.certificate_path, self.key_path)
            )
        key = (
            self.load(self.key_path, load_pem_private_key, key_text, None)
            if key_text
            else new_key()
        )
        certificate = (
            self.load(self.certificate_path, x509.load_pem_x509_certificate, text) if text else None
        )
        if certificate and not same_key(certificate, key):
            raise CertificateError(
                "the certificate and the key of the lab's CA do not belong together. Evidence: the "
                "public keys of %s and %s differ. Fix: restore the file that was replaced"
                % (self.certificate_path, self.key_path)
            )
        if not certificate or days_left(certificate) < CA_RENEW_DAYS:
            certificate = self_signed(key)
            if not key_text:
                self.write(self.key_path, pem_of_key(key))
            self.write(self.certificate_path, pem_of(certificate), 0o644)
        return certificate, key

    @staticmethod
    def load(path: str, load: Callable[..., Any], text: str, *arguments: Any) -> Any:
        try:
            return load(text.encode(), *arguments)
        except (TypeError, ValueError):
            raise CertificateError(
                "%s is damaged. Evidence: it cannot be parsed. Fix: restore it from a backup" % path
            ) from None

    def _reusable(
        self,
        path: str,
        wanted: list[x509.GeneralName],
        renew_days: int,
        authority: x509.Certificate,
    ) -> dict[str, str] | None:
        """The former certificate and key, None if they are no longer valid."""
        text = read(path)
        if not text:
            return None
        try:
            certificate = x509.load_pem_x509_certificate(text.encode())
            key = load_pem_private_key(text.encode(), None)
            certificate.verify_directly_issued_by(authority)
        except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):
            # damaged, or of another CA: a new one is issued next
            return None
        if (
            days_left(certificate) < renew_days
            or names_of(certificate) != {str(item.value).lower() for item in wanted}
            or not same_key(certificate, key)
        ):
            return None
        return {"certificate": pem_of(certificate), "key": pem_of_key(key)}

    def write(self, path: str, text: str, mode: int = 0o600) -> None:
        if not self.check_mode:
            with replacing(path, mode) as stream:
                stream.write(text)


def read(path: str) -> str | None:
    """The text of a file, None if it does not exist."""
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def new_key() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def pem_of_key(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def self_signed(key: Any) -> x509.Certificate:
    """The certificate of the CA itself. Its name depends on the key: a renewed certificate has the
    same name, and another CA has not."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = x509.Name(
        [
            x509.NameAttribute(
                NameOID.COMMON_NAME, "swf-testbed lab CA " + identifier.digest.hex()[:8]
            )
        ]
    )
    builder = start(name, name, key.public_key(), now() + datetime.timedelta(days=CA_DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(
        x509.KeyUsage(**dict(KEY_USAGE, key_cert_sign=True, crl_sign=True)), critical=True
    )
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def issue(
    names: list[x509.GeneralName], days: int, authority: x509.Certificate, authority_key: Any
) -> dict[str, str]:
    """A new key, and a server certificate for these names."""
    key = new_key()
    end = min(now() + datetime.timedelta(days=days), end_of(authority))
    # the names are only in the extension: a subject cannot hold long ones
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "swf-testbed")])
    builder = start(subject, authority.subject, key.public_key(), end)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.KeyUsage(**dict(KEY_USAGE, digital_signature=True)), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName(names), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return {
        "certificate": pem_of(builder.sign(authority_key, hashes.SHA256())),
        "key": pem_of_key(key),
    }


def start(
    subject: x509.Name, issuer: x509.Name, public_key: Any, end: datetime.datetime
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    )
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now() - CLOCK_SKEW)
        .not_valid_after(end)
    )
