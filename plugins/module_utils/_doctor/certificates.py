# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificate files on a host: their validity, their names, and whether they match their keys."""

from __future__ import annotations

import datetime
import glob
import os
import ssl
from collections.abc import Iterable

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    FATAL,
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._doctor.certificate_der import (
    Certificate,
    from_pem,
)

RENEW = "Run: ansible-playbook site.yml, which renews certificates of the lab CA. Replace your own certificate first"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def time_problem(
    what: str, certificate: Certificate, days: float, fix: str = RENEW
) -> Finding | None:
    """The finding for a certificate that is invalid now or soon, or None."""
    left = certificate.ends - now()
    if certificate.begins > now():
        return finding(
            "certificate",
            "%s is not valid yet" % what,
            "it is valid from %s, and the clock of this host shows %s"
            % (stamp(certificate.begins), stamp(now())),
            "Correct the clock of this host (timedatectl)",
        )
    if left.total_seconds() <= 0:
        return finding(
            "certificate", "%s has expired" % what, "it ended on %s" % stamp(certificate.ends), fix
        )
    if left.days < days:
        return finding(
            "certificate",
            "%s expires in %d days" % (what, left.days),
            "it ends on %s" % stamp(certificate.ends),
            fix,
            WARNING,
        )
    return None


def stamp(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def names_problem(what: str, certificate: Certificate, names: Iterable[str]) -> Finding | None:
    """The finding for names that a certificate lacks, or None."""
    missing = [name for name in names if name and not certificate.covers(name)]
    if not missing:
        return None
    return finding(
        "certificate",
        "%s does not cover %s" % (what, ", ".join(missing)),
        "it covers %s" % (", ".join(certificate.names) or "no names"),
        "Run: ansible-playbook site.yml. Have your own certificate issued with that name",
    )


def file_problems(
    what: str, path: str, days: int, names: Iterable[str] = (), key: str | None = None
) -> list[Finding]:
    """Findings for a certificate file.

    :param names: the names that its first certificate must cover.
    :param key: path of the key that must match the first.
    """
    what = "%s (%s)" % (what, path)
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            certificates = from_pem(stream.read())
    except (OSError, ValueError) as error:
        return [
            finding(
                "certificate",
                "%s cannot be used" % what,
                getattr(error, "strerror", None) or str(error),
                "Run: ansible-playbook site.yml, which installs it again",
            )
        ]
    found = [
        time_problem(what if number == 0 else "a CA in " + what, certificate, days)
        for number, certificate in enumerate(certificates)
    ]
    found.append(names_problem(what, certificates[0], names))
    if key:
        found.append(key_problem(what, path, key))
    return [item for item in found if item]


def key_problem(what: str, path: str, key: str) -> Finding | None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key, password=lambda: "")
    except OSError as error:
        # OpenSSL's message contains neither the key nor the path
        why = getattr(error, "reason", None) or error.strerror or "it cannot be read"
        severity = WARNING if isinstance(error, PermissionError) else FATAL
        return finding(
            "certificate",
            "%s does not match its key %s" % (what, key),
            str(why).replace("_", " ").lower(),
            "Run: ansible-playbook site.yml, which installs both again",
            severity,
        )
    return None


def placed(pattern: str) -> list[str]:
    """The files that match a pattern."""
    return sorted(path for path in glob.glob(pattern) if os.path.isfile(path))
