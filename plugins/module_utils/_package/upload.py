# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upload built files with twine. The token is in a file of mode 0600 for that time, and nowhere
else."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.clean_environment import (
    clean_environment,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    CREDENTIALS,
    PublishError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.target import (
    section,
    section_name,
)

# (pattern, cause, fix); the first that matches is taken
CAUSES = (
    (
        r"\b401\b|[Cc]redentials|Unauthorized",
        "the index does not know this user or token",
        "check username and token of the index {index} in swf_testbed_pip_indexes",
    ),
    (
        r"\b403\b|Forbidden",
        "the token is wrong, or its user may not upload, or the name belongs to somebody else",
        "check username and token of the index {index}, and that they have the right to upload "
        "this package",
    ),
    (
        r"\b409\b|already exists|same name",
        "the index has a file of this name, and replaces none",
        "raise the version of the package",
    ),
    (
        r"\b404\b|\b405\b|\b501\b",
        "nothing takes uploads at this address",
        "check url and upload_url of the index {index} in swf_testbed_pip_indexes",
    ),
    (
        r"\b413\b",
        "the file is larger than the index, or a proxy before it, takes",
        "raise the limit there (nginx: client_max_body_size)",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "the index's TLS certificate is not trusted here",
        "set ca_cert of the index {index} to the CA's certificate",
    ),
    (r"\b400\b|Bad Request", "the index refuses the package", "mend what the answer names"),
    (
        r"Connection refused|Max retries|timed out|NameResolution",
        "nothing answers at the index's upload address",
        "check upload_url of the index {index}, and that the index runs",
    ),
)
EVIDENCE_LINES = 8


def upload(entry, files, scratch):
    """Upload files to a normalised index.

    :param scratch: a directory that nobody else may enter.
    :raises PublishError: with cause, evidence and fix.
    """
    pypirc = os.path.join(scratch, "pypirc")
    with open(
        os.open(pypirc, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as stream:
        stream.write("[distutils]\nindex-servers = %s\n%s" % (section_name(entry), section(entry)))
    # the bundle of requests, where a login names one, counts more than ca_cert
    certificates = {"REQUESTS_CA_BUNDLE": None, "CURL_CA_BUNDLE": None} if entry["ca_cert"] else {}
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "twine",
                "upload",
                "--non-interactive",
                "--disable-progress-bar",
                "--config-file",
                pypirc,
                "--repository",
                section_name(entry),
                *map(os.path.abspath, files),
            ],
            env=clean_environment(**certificates),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    finally:
        os.unlink(pypirc)
    if done.returncode != 0:
        raise PublishError(explain(entry, done.stdout))


def explain(entry, output):
    """The message for a failed upload."""
    output = CREDENTIALS.sub("***@", output.replace(entry["token"], "***"))
    cause, fix = "see the output below", "read the output, mend what it names, then run again"
    for pattern, meaning, mend in CAUSES:
        if re.search(pattern, output):
            cause, fix = meaning, mend.format(index=entry["name"])
            break
    evidence = "\n".join("  " + line for line in output.strip().splitlines()[-EVIDENCE_LINES:])
    return "could not upload to the index %s (%s): %s.\nEvidence:\n%s\nNext: %s." % (
        entry["name"],
        entry["upload_url"] or "PyPI",
        cause,
        evidence,
        fix,
    )
