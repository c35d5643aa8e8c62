# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire format of STOMP 1.0, 1.1 and 1.2: an incremental parser and an encoder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_HEADER_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024

_END_OF_HEADERS = re.compile(rb"\n\r?\n")
_ESCAPE = re.compile(r"\\.?", re.DOTALL)
_UNESCAPED = {
    "1.1": {"\\\\": "\\", "\\n": "\n", "\\c": ":"},
    "1.2": {"\\\\": "\\", "\\n": "\n", "\\c": ":", "\\r": "\r"},
}
_ESCAPED = {
    "1.1": str.maketrans({"\\": "\\\\", "\n": "\\n", ":": "\\c"}),
    "1.2": str.maketrans({"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"}),
}
_NEEDS_ESCAPE = re.compile(r"[\\\n:\r]")
# These two frames have no escapes, so that a 1.0 peer can read them.
_NEVER_ESCAPED = frozenset({"CONNECT", "CONNECTED"})


class ProtocolError(Exception):
    """The client violated the STOMP protocol; the text goes to the client in an ERROR frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A received STOMP frame with unescaped headers. Of a repeated header, it has the first."""

    command: str
    headers: dict[str, str]
    body: bytes = b""


def escape(text: str, version: str) -> str:
    """`text` as a header name or value for `version`. In 1.0, which has no escapes, line ends
    become blanks."""
    if not _NEEDS_ESCAPE.search(text):
        return text
    table = _ESCAPED.get(version)
    return text.translate(table) if table else text.replace("\n", " ").replace("\r", " ")


def encode_headers(headers: Mapping[str, str], version: str) -> bytes:
    """The header lines, each with its line end, without the blank line after them."""
    return "".join(
        f"{escape(k, version)}:{escape(v, version)}\n" for k, v in headers.items()
    ).encode()


def encode(
    command: str, headers: Mapping[str, str], body: bytes = b"", version: str = "1.2"
) -> bytes:
    """A whole frame with its final NUL. It adds no content-length."""
    style = "1.0" if command in _NEVER_ESCAPED else version
    return b"%s\n%s\n%s\0" % (command.encode(), encode_headers(headers, style), body)


class FrameParser:
    """Parses a stream of bytes into whole frames; a frame may be split at any byte.

    `version` may change between two frames (as after CONNECT): it determines the valid escapes.
    """

    def __init__(self) -> None:
        self.version = "1.0"
        self._data = bytearray()
        self._position = 0  # start of the current frame
        self._searched = 0  # there is no end before this: no byte is searched twice
        self._head: tuple[str, dict[str, str], int, int | None] | None = None

    def feed(self, data: bytes) -> None:
        """Append data, after removing the frames that were returned already."""
        if self._position:
            del self._data[: self._position]
            if self._head:
                command, headers, body_start, length = self._head
                self._head = (command, headers, body_start - self._position, length)
            self._searched -= self._position
            self._position = 0
        self._data += data

    def next_frame(self) -> Frame | None:
        """The next whole frame, or None if more bytes are needed. Raises ProtocolError."""
        head = self._head or self._read_head()
        if head is None:
            return None
        self._head = head
        command, headers, body_start, length = head
        data = self._data
        if length is None:
            end = data.find(0, max(body_start, self._searched))
            if end < 0:
                self._searched = len(data)
                if len(data) - body_start > MAX_BODY_BYTES:
                    raise ProtocolError(f"the body is longer than {MAX_BODY_BYTES} bytes")
                return None
        else:
            end = body_start + length
            if len(data) <= end:
                return None
            if data[end] != 0:
                raise ProtocolError("no NUL at the end of the body according to content-length")
        body = bytes(data[body_start:end])
        self._position = self._searched = end + 1
        self._head = None
        return Frame(command, headers, body)

    def _read_head(self) -> tuple[str, dict[str, str], int, int | None] | None:
        data = self._data
        start = self._position
        while (
            start < len(data) and data[start] in b"\r\n"
        ):  # heart-beats, and line ends after a frame
            start += 1
        self._position = start
        self._searched = max(self._searched, start)
        found = _END_OF_HEADERS.search(data, self._searched)
        size = (found.start() if found else len(data)) - start
        if size > MAX_HEADER_BYTES:
            raise ProtocolError(f"the headers are longer than {MAX_HEADER_BYTES} bytes")
        if not found:
            self._searched = max(start, len(data) - 2)
            return None
        command, headers = self._parse_head(bytes(data[start : found.start()]))
        self._searched = found.end()
        return command, headers, found.end(), _content_length(headers)

    def _parse_head(self, raw: bytes) -> tuple[str, dict[str, str]]:
        try:
            command, *lines = raw.decode().split("\n")
        except UnicodeDecodeError:
            raise ProtocolError("the headers are not UTF-8") from None
        command = command.rstrip("\r")
        version = "1.0" if command in _NEVER_ESCAPED else self.version
        headers: dict[str, str] = {}
        for line in lines:
            if version != "1.1":  # there, a carriage return is part of the value
                line = line.removesuffix("\r")
            name, colon, value = line.partition(":")
            if not colon:
                raise ProtocolError("a header line without a colon")
            if version == "1.0":
                name, value = name.strip(), value.strip()
            elif "\\" in line:
                name, value = _unescape(name, version), _unescape(value, version)
            headers.setdefault(name, value)
        return command, headers


def _unescape(text: str, version: str) -> str:
    table = _UNESCAPED[version]
    try:
        return _ESCAPE.sub(lambda found: table[found[0]], text)
    except KeyError:
        raise ProtocolError(
            "a header has an escape that this STOMP version does not define"
        ) from None


def _content_length(headers: dict[str, str]) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ProtocolError("content-length is not a number")
    length = int(text)
    if length > MAX_BODY_BYTES:
        raise ProtocolError(f"the body is longer than {MAX_BODY_BYTES} bytes")
    return length
