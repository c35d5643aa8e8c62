# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's CA in the form that a team shares: {certificate, key, issued: {service: key and
certificate}}, each a text in PEM."""

from __future__ import annotations

import glob
import os
import typing as t

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
except ImportError:
    # ansible-core depends on it; only ansible-test imports plugins without
    pass

from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    CertificateError,
    end_of,
    same_key,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._lab_ca import TERM, LabCa, read

VARIABLE = "swf_testbed_lab_ca"
EXPORT = "make export-secrets FILE=FILE"
EXPORT_AGAIN = (
    "write it as it was exported, or export it again on a controller that has it: " + EXPORT
)


class Wrong(t.NamedTuple):
    """A problem of a part of it. The texts contain no value."""

    part: str
    cause: str
    evidence: str
    fix: str


class File(t.NamedTuple):
    """A file to write."""

    path: str
    text: str
    mode: int


class Difference(t.NamedTuple):
    """The difference between the CA of a directory and the given one."""

    #: the files to write, including those that would replace the files of another CA
    files: list[File]
    #: the files of another CA
    conflicts: list[str]
    #: fingerprints of both, that of the directory first
    fingerprints: tuple[str, str]
    #: the certificates of the directory that expire later
    later: list[str]


def problems(given: t.Any) -> t.Iterator[Wrong]:
    """The problems of a given CA: the first one of each part; none for parts of a wrong type."""
    if not isinstance(given, dict):
        return
    texts = {key: given.get(key) for key in ("certificate", "key")}
    for key, text in texts.items():
        if text is None:
            yield Wrong("." + key, "is missing", "the CA has no " + key, EXPORT_AGAIN)
    certificate, key = _certificate(texts["certificate"]), _key(texts["key"])
    for name, loaded in (("certificate", certificate), ("key", key)):
        if isinstance(texts[name], str) and not loaded:
            yield Wrong(
                "." + name,
                "is damaged",
                "it cannot be read as a %s in PEM without a password" % name,
                EXPORT_AGAIN,
            )
    if certificate and key and not same_key(certificate, key):
        yield Wrong(
            ".key",
            "belongs to another certificate",
            "its public key is not that of .certificate",
            EXPORT_AGAIN,
        )
    issued = given.get("issued")
    for service, text in issued.items() if isinstance(issued, dict) else ():
        yield from _of_issued(service, text, certificate)


def _of_issued(
    service: t.Any, text: t.Any, authority: x509.Certificate | None
) -> t.Iterator[Wrong]:
    part = ".issued.%s" % service
    certificate, key = _certificate(text), _key(text)
    if not isinstance(service, str) or not TERM.match(service):
        yield Wrong(
            ".issued",
            "has a key that is not the name of a service",
            "names consist of letters, digits and _.-",
            EXPORT_AGAIN,
        )
    elif not isinstance(text, str):
        yield Wrong(part, "is not text", "it must contain a key and its certificate", EXPORT_AGAIN)
    elif not certificate or not key:
        yield Wrong(
            part, "is damaged", "it cannot be read as a key and a certificate in PEM", EXPORT_AGAIN
        )
    elif not same_key(certificate, key):
        yield Wrong(
            part,
            "has a key and a certificate that do not belong together",
            "their public keys differ",
            EXPORT_AGAIN,
        )
    elif authority and not _is_by(certificate, authority):
        yield Wrong(
            part,
            "was issued by another CA",
            "the key of .certificate did not sign it",
            "remove it, and a new one is issued",
        )


def of_directory(directory: str) -> dict[str, t.Any] | None:
    """The CA of a directory, None if there is none.

    :raises CertificateError: it cannot be used.
    """
    authority = LabCa(directory)
    found: dict[str, t.Any] = {
        "certificate": read(authority.certificate_path),
        "key": read(authority.key_path),
    }
    if not any(found.values()):
        return None
    for path, text, fix in (
        (
            authority.certificate_path,
            found["certificate"],
            "run site.yml, which creates it again from the key",
        ),
        (authority.key_path, found["key"], "restore it from a backup"),
    ):
        if not text:
            raise CertificateError(
                "the lab's CA is incomplete. Evidence: %s does not exist. Fix: %s" % (path, fix)
            )
    for wrong in problems(found):
        raise CertificateError(
            "the lab's CA in %s cannot be used. Evidence: its %s %s, %s. Fix: restore the file "
            "from a backup" % (directory, wrong.part.lstrip("."), wrong.cause, wrong.evidence)
        )
    certificate = _certificate(found["certificate"])
    found["issued"] = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(authority.secrets), "tls-*.pem"))):
        service, text = os.path.basename(path)[len("tls-") : -len(".pem")], read(path)
        # a certificate that is damaged, or of a former CA, is issued again at its next use
        if not any(_of_issued(service, text, certificate)):
            found["issued"][service] = text
    return found


def difference(given: dict[str, t.Any], authority: LabCa) -> Difference:
    """The changes after which a directory has the given CA.

    :param given: one without :func:`problems`.
    :raises CertificateError: a file of the directory is damaged.
    """
    certificate = x509.load_pem_x509_certificate(given["certificate"].encode())
    text, key_text = read(authority.certificate_path), read(authority.key_path)
    there = (
        authority.load(authority.certificate_path, x509.load_pem_x509_certificate, text)
        if text
        else None
    )
    key_there = (
        authority.load(authority.key_path, load_pem_private_key, key_text, None)
        if key_text
        else None
    )
    files, conflicts, later = [], [], []
    # the key first: a certificate of a CA without its key would be refused
    if not key_there or not same_key(certificate, key_there):
        files.append(File(authority.key_path, given["key"], 0o600))
        if key_there:
            conflicts.append(authority.key_path)
    if there and not same_key(there, certificate):
        conflicts.append(authority.certificate_path)
    elif there and end_of(there) > end_of(certificate):
        later.append("the CA")
    if not there or not same_key(there, certificate) or end_of(there) < end_of(certificate):
        files.append(File(authority.certificate_path, given["certificate"], 0o644))
    for service, issued in sorted((given.get("issued") or {}).items()):
        path = authority.path_of(service)
        present = read(path)
        if present and any(_of_issued(service, present, certificate)):
            present = None
        ends = [end_of(found) for found in (_certificate(present), _certificate(issued)) if found]
        if len(ends) == 1 or ends[0] < ends[1]:
            files.append(File(path, issued, 0o600))
        elif ends[0] > ends[1]:
            later.append(service)
    return Difference(
        files,
        conflicts,
        (fingerprint(there) if there else "unknown", fingerprint(certificate)),
        later,
    )


def place(given: t.Any, directory: str, check_mode: bool) -> Difference:
    """Write the CA of the variable to a directory that has none, or one that expires earlier.

    :raises CertificateError: it cannot be used, or the directory has another one. Nothing was
        written.
    """
    refuse_unusable(given)
    authority = LabCa(directory, check_mode)
    refuse_another(difference(given, authority), authority)
    with authority.locked():
        found = difference(given, authority)
        refuse_another(found, authority)
        for file in found.files:
            authority.write(*file)
    return found


def refuse_unusable(given: t.Any) -> None:
    for wrong in problems(given):
        raise CertificateError("%s%s %s. Evidence: %s. Fix: %s" % (VARIABLE, *wrong))
    if (
        not isinstance(given, dict)
        or not all(isinstance(given[key], str) for key in ("certificate", "key"))
        or not isinstance(given.get("issued") or {}, dict)
    ):
        raise CertificateError(
            "%s has a wrong type. Evidence: it does not consist of a certificate, a key and issued "
            "certificates. Fix: %s" % (VARIABLE, EXPORT_AGAIN)
        )


def refuse_another(found: Difference, authority: LabCa) -> None:
    if found.conflicts:
        raise CertificateError(
            "this controller has another CA than the one in %s, and nothing was changed. Evidence: "
            "%s; the SHA-256 fingerprint is %s here, and in %s %s. Fix: to use the CA of the team, "
            "move %s and %s away; to share this CA with the team, remove %s from the inventory and "
            "export it again: %s"
            % (
                VARIABLE,
                " and ".join(found.conflicts),
                found.fingerprints[0],
                VARIABLE,
                found.fingerprints[1],
                authority.public,
                authority.key_path,
                VARIABLE,
                EXPORT,
            )
        )


def fingerprint(certificate: x509.Certificate) -> str:
    """In the form of openssl x509 -fingerprint -sha256."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _certificate(text: t.Any) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(text.encode()) if isinstance(text, str) else None
    except ValueError:
        return None


def _key(text: t.Any) -> t.Any:
    try:
        return load_pem_private_key(text.encode(), None) if isinstance(text, str) else None
    except (TypeError, UnsupportedAlgorithm, ValueError):
        return None


def _is_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):
        return False
    return True
