# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's CA as a team shares it: {certificate, key, issued: {service: key and certificate}},
each a text in PEM."""

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
    public_bytes,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._lab_ca import TERM, LabCa, read

VARIABLE = "swf_testbed_lab_ca"
EXPORT = "make export-secrets FILE=FILE"
EXPORT_AGAIN = (
    "write it as it was exported, or export it again on a controller that has it: " + EXPORT
)


class Wrong(t.NamedTuple):
    """What is wrong with a part of it. No value is in the texts."""

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
    """How the CA of a directory differs from the one that is given."""

    #: the files that are to be written, those of another CA that would be replaced included
    files: list[File]
    #: the files that belong to another CA
    conflicts: list[str]
    #: fingerprints of the two, of the directory's first
    fingerprints: tuple[str, str]
    #: what the directory has with a later end
    later: list[str]


def problems(given: t.Any) -> t.Iterator[Wrong]:
    """What is wrong with a CA that is given. The first one of each part; nothing of parts whose
    type is wrong."""
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
    if certificate and key and not _belong(certificate, key):
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
            "has a key that is no name of a service",
            "names have letters, digits and _.-",
            EXPORT_AGAIN,
        )
    elif not isinstance(text, str):
        yield Wrong(part, "is not text", "it is to hold a key and its certificate", EXPORT_AGAIN)
    elif not certificate or not key:
        yield Wrong(
            part, "is damaged", "it cannot be read as a key and a certificate in PEM", EXPORT_AGAIN
        )
    elif not _belong(certificate, key):
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
            "its signature is not by the key of .certificate",
            "remove it, and another one is issued",
        )


def of_directory(directory: str) -> dict[str, t.Any] | None:
    """The CA of a directory, None where there is none.

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
            "run site.yml, which makes it anew from the key",
        ),
        (authority.key_path, found["key"], "bring it back from where you keep a copy"),
    ):
        if not text:
            raise CertificateError(
                "the lab's CA is incomplete. Evidence: %s is not there. Fix: %s" % (path, fix)
            )
    for wrong in problems(found):
        raise CertificateError(
            "the lab's CA in %s cannot be used. Evidence: its %s %s, %s. Fix: bring the file back "
            "from "
            "where you keep a copy"
            % (directory, wrong.part.lstrip("."), wrong.cause, wrong.evidence)
        )
    certificate = _certificate(found["certificate"])
    found["issued"] = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(authority.secrets), "tls-*.pem"))):
        service, text = os.path.basename(path)[len("tls-") : -len(".pem")], read(path)
        # what is damaged, or of a CA before this one, is issued anew at its next use
        if not any(_of_issued(service, text, certificate)):
            found["issued"][service] = text
    return found


def difference(given: dict[str, t.Any], authority: LabCa) -> Difference:
    """What is to be done so that a directory has the CA that is given.

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
    if not key_there or not _belong(certificate, key_there):
        files.append(File(authority.key_path, given["key"], 0o600))
        if key_there:
            conflicts.append(authority.key_path)
    if there and not _same_key(there, certificate):
        conflicts.append(authority.certificate_path)
    elif there and end_of(there) > end_of(certificate):
        later.append("the CA")
    if not there or not _same_key(there, certificate) or end_of(there) < end_of(certificate):
        files.append(File(authority.certificate_path, given["certificate"], 0o644))
    for service, issued in sorted((given.get("issued") or {}).items()):
        path = authority.path_of(service)
        kept = read(path)
        if kept and any(_of_issued(service, kept, certificate)):
            kept = None
        ends = [end_of(found) for found in (_certificate(kept), _certificate(issued)) if found]
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
    """Place the CA that the variable has in a directory, where that has none or one that ends
    earlier.

    :raises CertificateError: it cannot be used, or the directory has another one. Nothing was
        written.
    """
    refuse_unusable(given)
    authority = LabCa(directory, check_mode)
    refuse_another(difference(given, authority), authority)
    with authority.alone():
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
            "%s has a value of another type. Evidence: it is not a certificate, a key and what was "
            "issued. "
            "Fix: %s" % (VARIABLE, EXPORT_AGAIN)
        )


def refuse_another(found: Difference, authority: LabCa) -> None:
    if found.conflicts:
        raise CertificateError(
            "this controller has another CA than the one in %s, and nothing was changed. Evidence: "
            "%s; the SHA-256 fingerprint "
            "here is %s, and in %s %s. Fix: to take the one of the team, move %s and %s away; to "
            "give this one to the team, take "
            "%s out of the inventory and export anew: %s"
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
    """As openssl x509 -fingerprint -sha256 prints it."""
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


def _belong(certificate: x509.Certificate, key: t.Any) -> bool:
    return public_bytes(certificate.public_key()) == public_bytes(key.public_key())


def _same_key(one: x509.Certificate, other: x509.Certificate) -> bool:
    return public_bytes(one.public_key()) == public_bytes(other.public_key())


def _is_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):
        return False
    return True
