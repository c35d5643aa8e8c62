# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of the index and their rights: to read, or also to upload."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os


class Accounts:
    """The file ``name:{SSHA256}hash:right,right``, one line per account. It is read again after a
    change.

    The hash is a fast one, because each request checks it; the tokens are long and random.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._read: tuple[tuple[int, ...], dict[str, tuple[str, set[str]]]] = ((), {})

    def all(self) -> dict[str, tuple[str, set[str]]]:
        """{name: (hash, set of rights)}"""
        found = os.stat(self.path)
        # a replaced file has another inode, also within the same tick of the clock
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        if self._read[0] != stamp:
            with open(self.path, encoding="utf-8") as stream:
                lines = [line.strip().split(":") for line in stream if line.strip()]
            self._read = (
                stamp,
                {name: (digest, set(rights.split(","))) for name, digest, rights in lines},
            )
        return self._read[1]

    def rights_of(self, header: str | None) -> tuple[str | None, set[str] | None]:
        """The account and rights of an Authorization header.

        :returns: (name, set of rights); (None, None) without credentials, (name, None) with wrong
            ones.
        """
        name, token = credentials(header)
        if name is None or token is None:
            return None, None
        digest, rights = self.all().get(name, ("", None))
        # the same time for an unknown name
        return name, rights if is_token(token, digest) else None


def is_token(token: str, stored: str) -> bool:
    """Whether the stored hash is of the token: SHA-256 of the token and the salt, then the salt."""
    hashed = base64.b64decode(stored.removeprefix("{SSHA256}"))
    digest, salt = hashed[:32], hashed[32:]
    return hmac.compare_digest(hashlib.sha256(token.encode() + salt).digest(), digest)


def credentials(header: str | None) -> tuple[str, str] | tuple[None, None]:
    """(name, token) of a Basic Authorization header, (None, None) of any other."""
    scheme, _space, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        name, colon, token = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None, None
    return (name, token) if colon else (None, None)
