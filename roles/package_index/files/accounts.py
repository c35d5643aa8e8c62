# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of the index: who may read, and who may upload too."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os


class Accounts:
    """The file ``name:{SHA}hash:right,right``, a line per account. It is read again when it
    changes.

    The hash is a fast one, because it is checked on every request; the tokens are long and random.
    """

    def __init__(self, path):
        self.path = path
        self._read = (None, {})

    def all(self):
        """{name: (hash, set of rights)}"""
        found = os.stat(self.path)
        # a file that is replaced has another inode, also within the same tick of the clock
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        if self._read[0] != stamp:
            with open(self.path, encoding="utf-8") as stream:
                lines = [line.strip().split(":") for line in stream if line.strip()]
            self._read = (
                stamp,
                {name: (digest, set(rights.split(","))) for name, digest, rights in lines},
            )
        return self._read[1]

    def rights_of(self, header):
        """What the one who sent this Authorization header may do.

        :returns: (name, set of rights); (None, None) without credentials, (name, None) with wrong
            ones.
        """
        name, token = credentials(header)
        if name is None:
            return None, None
        digest, rights = self.all().get(name, ("", None))
        given = "{SHA}" + base64.b64encode(hashlib.sha1(token.encode()).digest()).decode()
        # the same time for a name that is not there
        return name, rights if hmac.compare_digest(given, digest) else None


def credentials(header):
    """(name, token) of a Basic Authorization header, (None, None) if it is none."""
    scheme, _space, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        name, colon, token = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None, None
    return (name, token) if colon else (None, None)
