# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and validity of a certificate, read with only the standard library: hosts need not have
cryptography.

``ssl`` returns these only for certificates that it accepts, but the rejected ones need an
explanation.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import ssl
import typing
from collections.abc import Iterator

PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
OID, UTC_TIME = 0x06, 0x17
VERSION, EXTENSIONS, DNS_NAME, ADDRESS = 0xA0, 0xA3, 0x82, 0x87
ALTERNATIVE_NAMES = bytes((0x55, 0x1D, 0x11))


class Certificate(typing.NamedTuple):
    begins: datetime.datetime
    ends: datetime.datetime
    names: list

    def covers(self, name: str) -> bool:
        """Whether clients accept this certificate for a name or an address."""
        name = name.strip("[]").lower()
        if name in self.names:
            return True
        # a wildcard covers one label
        return not is_address(name) and "*." + name.partition(".")[2] in self.names


def is_address(name: str) -> bool:
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def from_pem(text: str) -> list[Certificate]:
    """All certificates of a PEM text, in order.

    :raises ValueError: there is none, or one is damaged.
    """
    found = [from_der(ssl.PEM_cert_to_DER_cert(block)) for block in PEM.findall(text)]
    if not found:
        raise ValueError("it contains no PEM certificate")
    return found


def from_der(data: bytes) -> Certificate:
    """:raises ValueError: it is not a certificate."""
    try:
        return read(data)
    except (IndexError, StopIteration, UnicodeDecodeError) as error:
        raise ValueError("it is not a valid certificate") from error


def read(data: bytes) -> Certificate:
    fields = [part for part in items(inner(inner(data))) if part[0] != VERSION]
    # serial, algorithm, issuer, validity, subject, key, and optional fields
    begins, ends = (moment(tag, value) for tag, value in items(fields[3][1]))
    extensions = next((items(inner(value)) for tag, value in fields[6:] if tag == EXTENSIONS), ())
    names = []
    for _tag, extension in extensions:
        parts = list(items(extension))
        if parts[0] == (OID, ALTERNATIVE_NAMES):
            names = [text for text in map(name_of, items(inner(parts[-1][1]))) if text]
    return Certificate(begins, ends, names)


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The consecutive (tag, value) pairs."""
    position = 0
    while position < len(data):
        tag, length, position = data[position], data[position + 1], position + 2
        if length & 0x80:
            size = length & 0x7F
            length, position = (
                int.from_bytes(data[position : position + size], "big"),
                position + size,
            )
        if position + length > len(data):
            raise ValueError("it is truncated")
        yield tag, data[position : position + length]
        position += length


def inner(data: bytes) -> bytes:
    """The value of the first pair."""
    return next(iter(items(data)))[1]


def moment(tag: int, value: bytes) -> datetime.datetime:
    text = value.decode("ascii")
    if tag == UTC_TIME:
        text = ("20" if int(text[:2]) < 50 else "19") + text
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def name_of(pair: tuple[int, bytes]) -> str | None:
    tag, value = pair
    if tag == DNS_NAME:
        return value.decode("ascii").lower()
    return str(ipaddress.ip_address(value)) if tag == ADDRESS else None
