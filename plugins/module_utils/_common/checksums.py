# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums of files, as text such as ``sha256:`` and hexadecimal digits."""

from __future__ import annotations

import hashlib
import re

CHECKSUM = re.compile(r"sha256:[0-9a-fA-F]{64}|sha512:[0-9a-fA-F]{128}")
CHUNK = 1024 * 1024


def mismatch(path: str, checksum: str) -> str:
    """Why a file does not have a checksum; empty if it has it.

    :raises OSError: it cannot be read.
    """
    algorithm, _colon, wanted = checksum.partition(":")
    digest = hashlib.new(algorithm)
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            digest.update(chunk)
    if digest.hexdigest() == wanted.lower():
        return ""
    return "the %s checksum of %s is %s, and %s was expected" % (
        algorithm,
        path,
        digest.hexdigest(),
        wanted,
    )
