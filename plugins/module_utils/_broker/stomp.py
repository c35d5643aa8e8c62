# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A STOMP connection to the broker of this host, for modules."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Mapping

ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c"}
UNESCAPES = {value: key for key, value in ESCAPES.items()}
CHUNK = 65536


class BrokerError(Exception):
    """The broker did not do what it was asked for."""


def escaped(text: str) -> str:
    return "".join(ESCAPES.get(character, character) for character in text)


def unescaped(text: str) -> str:
    found, rest = "", text
    while rest:
        size = 2 if rest[0] == "\\" else 1
        found += UNESCAPES.get(rest[:size], rest[:size])
        rest = rest[size:]
    return found


def secured(plain: socket.socket, certificate: str) -> ssl.SSLSocket:
    """TLS with the very certificate that is in a file of this host.

    :raises BrokerError: the broker has another one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # the comparison takes the place of both
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = context.wrap_socket(plain)
    with open(certificate, encoding="ascii") as stream:
        first = stream.read().partition("-----END CERTIFICATE-----")
    wanted = ssl.PEM_cert_to_DER_cert(first[0][first[0].index("-----BEGIN") :] + first[1])
    if connection.getpeercert(binary_form=True) != wanted:
        connection.close()
        raise BrokerError("its certificate is not the one in %s" % certificate)
    return connection


class Connection:
    """One login. All waiting ends after ``timeout`` seconds.

    :param certificate: path of the certificate of the broker; empty without TLS.
    :raises BrokerError: the broker refused the login.
    :raises OSError: it cannot be reached.
    """

    def __init__(
        self, host: str, port: int, user: str, password: str, certificate: str, timeout: float
    ) -> None:
        self._deadline = time.monotonic() + timeout
        plain = socket.create_connection((host, port), timeout)
        self._buffer = b""
        try:
            self._socket = secured(plain, certificate) if certificate else plain
            self.send(
                "CONNECT",
                {
                    "accept-version": "1.2",
                    "host": host,
                    "heart-beat": "0,0",
                    "login": user,
                    "passcode": password,
                },
            )
            self.receive("CONNECTED")
        except Exception:
            plain.close()
            raise

    def close(self) -> None:
        # without a farewell the broker logs a failure
        with contextlib.suppress(OSError):
            self.send("DISCONNECT", {})
        self._socket.close()

    def send(self, command: str, headers: Mapping[str, str], body: str = "") -> None:
        # CONNECT has no escapes
        encode = str if command == "CONNECT" else escaped
        lines = [command, *("%s:%s" % (name, encode(value)) for name, value in headers.items())]
        self._socket.sendall(("\n".join(lines) + "\n\n" + body + "\0").encode())

    def receive(self, command: str) -> tuple[dict[str, str], str]:
        """(headers, body) of the next frame.

        :raises BrokerError: it is another one, or none comes.
        """
        # a line break between frames is a heart-beat
        self._buffer = self._buffer.lstrip(b"\r\n")
        while b"\0" not in self._buffer:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise BrokerError("it did not answer in time")
            self._socket.settimeout(left)
            try:
                received = self._socket.recv(CHUNK)
            except socket.timeout:
                continue
            if not received:
                raise BrokerError("it closed the connection")
            self._buffer = (self._buffer + received).lstrip(b"\r\n")
        frame, _end, self._buffer = self._buffer.partition(b"\0")
        head, _empty, body = frame.decode("utf-8", "replace").partition("\n\n")
        first, *lines = head.replace("\r", "").split("\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _colon, value = line.partition(":")
            headers.setdefault(unescaped(name), unescaped(value))
        if first != command:
            raise BrokerError(headers.get("message") or "it answered with %s" % first)
        return headers, body
