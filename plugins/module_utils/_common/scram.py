# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verifier that PostgreSQL stores for a password (RFC 5803, SCRAM-SHA-256), so that the
password itself need not be sent to the server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import stringprep
import unicodedata

ITERATIONS = 4096
_VERIFIER = re.compile(
    r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)"
)
_PROHIBITED = [
    getattr(stringprep, "in_table_" + name)
    for name in ("c12", "c21_c22", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "a1")
]


def prepared(password: str) -> bytes:
    """The bytes that clients and the server use: SASLprep (RFC 4013), or the unchanged text if
    SASLprep rejects it."""
    if password.isascii():
        return password.encode()
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if not stringprep.in_table_b1(char)
    )
    text = unicodedata.normalize("NFKC", mapped)
    right = [stringprep.in_table_d1(char) for char in text]
    mixed = any(right) and (any(map(stringprep.in_table_d2, text)) or not (right[0] and right[-1]))
    if not text or mixed or any(table(char) for char in text for table in _PROHIBITED):
        return password.encode()
    return text.encode()


def verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """The verifier, for ``PASSWORD '...'``."""
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return "SCRAM-SHA-256$%d:" % iterations + "%s$%s:%s" % tuple(encoded)


def is_of(text: str | None, password: str) -> bool:
    """Whether a verifier belongs to a password."""
    match = _VERIFIER.fullmatch(text or "")
    return match is not None and hmac.compare_digest(
        match[0], verifier(password, base64.b64decode(match[2]), int(match[1]))
    )
