# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, validity and keys of TLS certificates."""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Iterable
from typing import Any

try:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )
except ImportError:
    # ansible-core depends on it; only ansible-test imports plugins without
    pass

DNS_NAME = re.compile(
    r"^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$"
)


class CertificateError(ValueError):
    """A certificate or a name cannot be used; the message has the cause and the fix."""


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def end_of(certificate: x509.Certificate) -> datetime.datetime:
    """When it expires. The property with a time zone exists since cryptography 42."""
    end = getattr(certificate, "not_valid_after_utc", None)
    return end or certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)


def days_left(certificate: x509.Certificate) -> float:
    return (end_of(certificate) - now()).total_seconds() / 86400


def general_name(name: str) -> x509.GeneralName:
    """A name in the form for certificates.

    :raises CertificateError: it is neither an address nor a DNS name.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not DNS_NAME.match(name) or len(name) > 253:
        raise CertificateError(
            "%r is neither a DNS name nor an address. Write the name that clients connect to" % name
        )
    return x509.DNSName(name.lower())


def names_of(certificate: x509.Certificate) -> set[str]:
    """The names that a certificate is for, as text."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {
        str(item.value).lower()
        for item in found
        if isinstance(item, (x509.DNSName, x509.IPAddress))
    }


def covers(certificate: x509.Certificate, name: str) -> bool:
    """Whether clients that connect to this name accept the certificate."""
    names = names_of(certificate)
    wanted = str(general_name(name).value).lower()
    # a wildcard stands for one label of a name, not for addresses
    return wanted in names or (
        not isinstance(general_name(name), x509.IPAddress)
        and "*." + wanted.partition(".")[2] in names
    )


def public_bytes(holder: Any) -> bytes:
    """The public key of a certificate or a private key."""
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def same_key(one: Any, other: Any) -> bool:
    """Whether certificates or private keys have the same public key."""
    return public_bytes(one) == public_bytes(other)


def checked(certificate_text: str, key_text: str, names: Iterable[str]) -> dict[str, str]:
    """A given pair as {certificate, key}, checked.

    :raises CertificateError: clients or the server would reject it.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_text.encode())
    except ValueError:
        raise CertificateError(
            "the file contains no certificate in PEM format. Name a file that begins with "
            "-----BEGIN CERTIFICATE-----"
        ) from None
    try:
        key = load_pem_private_key(key_text.encode(), password=None)
    except TypeError:
        raise CertificateError(
            "the key is protected by a password, which the service cannot enter when it starts. "
            "Store it without a password, encrypted with ansible-vault"
        ) from None
    except ValueError:
        raise CertificateError("the key file contains no key in PEM format") from None
    if not same_key(certificate, key):
        raise CertificateError(
            "the certificate belongs to another key. Compare: openssl x509 -noout -pubkey -in "
            "CERTIFICATE; openssl pkey -pubout -in KEY"
        )
    if days_left(certificate) <= 0:
        raise CertificateError(
            "the certificate expired on %s. Renew it" % end_of(certificate).date()
        )
    missing = [name for name in names if not covers(certificate, name)]
    if missing:
        raise CertificateError(
            "clients that connect to %s would reject the certificate, which is for %s"
            % (", ".join(missing), ", ".join(sorted(names_of(certificate))) or "no name")
        )
    return {"certificate": certificate_text, "key": key_text}
