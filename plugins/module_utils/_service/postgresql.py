# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of PostgreSQL that logs in and runs simple queries, for checks of a server: a host has
no driver before its first release, and need not have psql."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import struct
from collections.abc import Iterator

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.scram import prepared

PROTOCOL = 196608  # 3.0
CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 3, 5, 10, 11, 12
MECHANISM = b"SCRAM-SHA-256"


class PostgresqlError(Exception):
    """The server answered with an error, or its answer cannot be used.

    :param code: its SQLSTATE, empty if it has none.
    """

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class Connection:
    """A session with a server.

    :param stream: a connected socket, with TLS where the server has it.
    :raises PostgresqlError: the server refuses the login.
    """

    def __init__(self, stream: socket.socket, user: str, password: str, database: str) -> None:
        self.stream = stream
        self._input = stream.makefile("rb")
        texts = ("user", user, "database", database, "application_name", "swf-testbed check")
        startup = struct.pack("!i", PROTOCOL) + b"".join(t.encode() + b"\0" for t in texts) + b"\0"
        self.stream.sendall(struct.pack("!i", len(startup) + 4) + startup)
        self._log_in(user, password)

    def query(self, sql: str) -> list[list[str | None]]:
        """The rows of statements, as text.

        :raises PostgresqlError: one of them fails.
        """
        self._send(b"Q", sql.encode() + b"\0")
        rows, problem = [], None
        for category, content in self._until_ready():
            if category == b"D":
                rows.append(list(columns(content)))
            elif category == b"E":
                problem = error(content)
        if problem:
            raise problem
        return rows

    def close(self) -> None:
        try:
            self._send(b"X", b"")
        except OSError:
            pass
        self._input.close()
        self.stream.close()

    def _log_in(self, user: str, password: str) -> None:
        scram = Scram(password)
        for category, content in self._until_ready():
            if category == b"E":
                raise error(content)
            if category != b"R":
                continue
            method, rest = struct.unpack("!i", content[:4])[0], content[4:]
            if method == CLEARTEXT:
                self._send(b"p", password.encode() + b"\0")
            elif method == MD5:
                self._send(b"p", md5(user, password, rest) + b"\0")
            elif method == SASL:
                if MECHANISM not in rest.split(b"\0"):
                    raise PostgresqlError("it does not offer SCRAM-SHA-256")
                first = scram.first()
                head = MECHANISM + b"\0" + struct.pack("!i", len(first))
                self._send(b"p", head + first)
            elif method == SASL_CONTINUE:
                self._send(b"p", scram.answer(rest))
            elif method == SASL_FINAL:
                scram.verify(rest)
            elif method:
                raise PostgresqlError("it asks for authentication method %d" % method)

    def _until_ready(self) -> Iterator[tuple[bytes, bytes]]:
        """(category, content) of the messages until the server waits for a statement."""
        while True:
            category, content = self._message()
            if category == b"Z":
                return
            yield category, content

    def _send(self, category: bytes, content: bytes) -> None:
        self.stream.sendall(category + struct.pack("!i", len(content) + 4) + content)

    def _message(self) -> tuple[bytes, bytes]:
        head = self._input.read(5)
        if len(head) < 5:
            raise PostgresqlError("it closed the connection")
        content = self._input.read(struct.unpack("!i", head[1:])[0] - 4)
        return head[:1], content


class Scram:
    """The client's side of SCRAM-SHA-256 (RFC 7677), without channel binding."""

    def __init__(self, password: str) -> None:
        self._password = prepared(password)
        self._nonce = base64.b64encode(os.urandom(18))
        self._signature = b""

    def first(self) -> bytes:
        return b"n,,n=,r=" + self._nonce

    def answer(self, challenge: bytes) -> bytes:
        parts = dict(part.split(b"=", 1) for part in challenge.split(b","))
        if not parts[b"r"].startswith(self._nonce):
            raise PostgresqlError("its answer belongs to another login")
        salt, iterations = base64.b64decode(parts[b"s"]), int(parts[b"i"])
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        client = hmac.digest(salted, b"Client Key", "sha256")
        last = b"c=biws,r=" + parts[b"r"]
        signed = b"n=,r=%s,%s,%s" % (self._nonce, challenge, last)
        signature = hmac.digest(hashlib.sha256(client).digest(), signed, "sha256")
        self._signature = hmac.digest(
            hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256"
        )
        proof = bytes(left ^ right for left, right in zip(client, signature))
        return last + b",p=" + base64.b64encode(proof)

    def verify(self, last: bytes) -> None:
        if last != b"v=" + base64.b64encode(self._signature):
            raise PostgresqlError("its signature does not match the password")


def md5(user: str, password: str, salt: bytes) -> bytes:
    # the server chose it; hosts whose rules forbid MD5 for security refuse it otherwise
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    outer = hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
    return b"md5" + outer.encode()


def columns(content: bytes) -> Iterator[str | None]:
    (count,), place = struct.unpack("!h", content[:2]), 2
    for _number in range(count):
        (length,) = struct.unpack("!i", content[place : place + 4])
        place += 4
        yield content[place : place + length].decode() if length >= 0 else None
        place += max(length, 0)


def error(content: bytes) -> PostgresqlError:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in content.split(b"\0") if part}
    return PostgresqlError(fields.get(b"M", "no reason"), fields.get(b"C", ""))
