# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upload built files with twine. The token is only in a file with mode 0600, during the upload."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.clean_environment import (
    clean_environment,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import captured
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.project import (
    CREDENTIALS,
    PublishError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._package.target import (
    section,
    section_name,
)

# (pattern, cause, fix); the first match counts
CAUSES = (
    (
        r"\b401\b|[Cc]redentials|Unauthorized",
        "the index rejected the credentials (401)",
        "check username and token of the index {index} in swf_testbed_pip_indexes",
    ),
    (
        r"\b403\b|Forbidden",
        "the index rejected the credentials (403), the user lacks upload permission, or another "
        "user owns the name",
        "check username and token of the index {index}, and that they have permission to upload "
        "this package",
    ),
    (
        r"\b409\b|already exists|same name",
        "the index already has a file of this name, and never replaces one",
        "increase the version of the package",
    ),
    (
        r"\b404\b|\b405\b|\b501\b",
        "this address does not accept uploads",
        "check url and upload_url of the index {index} in swf_testbed_pip_indexes",
    ),
    (
        r"\b413\b",
        "the file exceeds the size limit of the index, or of a proxy in front of it",
        "raise the limit there (nginx: client_max_body_size)",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "the controller does not trust the index's TLS certificate",
        "set ca_cert of the index {index} to the CA's certificate",
    ),
    (r"\b400\b|Bad Request", "the index rejected the package", "correct the errors in the answer"),
    (
        r"Connection refused|Max retries|timed out|NameResolution",
        "the index's upload address is unavailable",
        "check upload_url of the index {index}, and that the index runs",
    ),
)
EVIDENCE_LINES = 8


def upload(entry: Mapping[str, Any], files: Iterable[str], scratch: str) -> None:
    """Upload files to a normalised index.

    :param scratch: a directory that only this user can enter.
    :raises PublishError: with cause, evidence and fix.
    """
    pypirc = os.path.join(scratch, "pypirc")
    with open(
        os.open(pypirc, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as stream:
        stream.write("[distutils]\nindex-servers = %s\n%s" % (section_name(entry), section(entry)))
    # a CA bundle in the environment has precedence over ca_cert
    certificates = {"REQUESTS_CA_BUNDLE": None, "CURL_CA_BUNDLE": None} if entry["ca_cert"] else {}
    try:
        done = captured(
            [
                sys.executable,
                "-m",
                "twine",
                *("upload", "--non-interactive", "--disable-progress-bar"),
                *("--config-file", pypirc, "--repository", section_name(entry)),
                *map(os.path.abspath, files),
            ],
            env=clean_environment(**certificates),
            cwd="/",
            stderr=subprocess.STDOUT,
        )
    finally:
        os.unlink(pypirc)
    if done.returncode != 0:
        raise PublishError(explain(entry, done.stdout))


def explain(entry: Mapping[str, Any], output: str) -> str:
    """The error message for a failed upload."""
    output = CREDENTIALS.sub("***@", output.replace(entry["token"], "***"))
    cause, fix = "twine failed", "correct the errors in the output, then run again"
    for pattern, meaning, remedy in CAUSES:
        if re.search(pattern, output):
            cause, fix = meaning, remedy.format(index=entry["name"])
            break
    evidence = "\n".join("  " + line for line in output.strip().splitlines()[-EVIDENCE_LINES:])
    return "cannot upload to the index %s (%s): %s.\nEvidence:\n%s\nFix: %s" % (
        entry["name"],
        entry["upload_url"] or "PyPI",
        cause,
        evidence,
        fix,
    )
