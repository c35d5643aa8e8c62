# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of STOMP 1.2 that waits for each answer, for checks of a broker."""

from __future__ import annotations

import itertools
import re
import socket
import time
from collections.abc import Mapping

ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c"}
UNESCAPES = {value: key for key, value in ESCAPES.items()}
ESCAPED = re.compile(r"\\.")


class StompError(Exception):
    """The broker does not answer, or its answer is not STOMP."""


class RefusedError(StompError):
    """The broker answered with an error."""


class Frame:
    def __init__(self, command: str, headers: Mapping[str, str], body: str = "") -> None:
        self.command, self.headers, self.body = command, dict(headers), body

    def encoded(self) -> bytes:
        # CONNECT is not escaped, so that servers of STOMP 1.0 can read it
        plain = self.command == "CONNECT"
        lines = [self.command] + [
            "%s:%s" % ((name, value) if plain else (escaped(name), escaped(value)))
            for name, value in self.headers.items()
        ]
        return ("\n".join(lines) + "\n\n" + self.body).encode() + b"\0"


def escaped(text: str) -> str:
    return "".join(ESCAPES.get(char, char) for char in text)


def unescaped(text: str) -> str:
    return ESCAPED.sub(lambda found: UNESCAPES.get(found[0], found[0]), text)


def decoded(raw: bytes) -> Frame:
    head, _blank, body = raw.decode(errors="replace").replace("\r\n", "\n").partition("\n\n")
    command, *lines = head.lstrip("\n").split("\n")
    if not command.isalpha() or not command.isupper():
        raise StompError("the answer is not STOMP: %r" % raw[:40])
    headers: dict[str, str] = {}
    for line in lines:
        name, _colon, value = line.partition(":")
        # the first one counts
        headers.setdefault(unescaped(name), unescaped(value))
    return Frame(command, headers, body)


class Connection:
    """A session with a broker.

    :param stream: a connected socket, with TLS where the broker has it.
    :param timeout: seconds to wait for each answer.
    """

    def __init__(self, stream: socket.socket, timeout: float) -> None:
        self.stream, self.timeout = stream, timeout
        self._buffer = b""
        self._numbers = itertools.count(1)
        self._messages: list[Frame] = []
        self.heart_beats = 0

    def connect(self, host: str, login: str, passcode: str, heart_beat: str = "0,0") -> Frame:
        """Log in; the answer has the name of the server, and its heart-beats.

        :raises RefusedError: it refuses the login.
        """
        headers = {"accept-version": "1.1,1.2", "host": host, "login": login, "passcode": passcode}
        self.send("CONNECT", {**headers, "heart-beat": heart_beat})
        return self._answer("CONNECTED", self.timeout)

    def beats(self, seconds: float) -> bool:
        """Whether a heart-beat of the broker arrives in time."""
        deadline = time.monotonic() + seconds
        while not self.heart_beats and time.monotonic() < deadline:
            self.stream.sendall(b"\n")
            self.messages(0.2)
        return bool(self.heart_beats)

    def send(self, command: str, headers: Mapping[str, str], body: str = "") -> None:
        self.stream.sendall(Frame(command, headers, body).encoded())

    def confirmed(self, command: str, headers: Mapping[str, str], body: str = "") -> None:
        """Send a frame, and wait until the broker has processed it.

        :raises RefusedError: it refuses the frame.
        """
        receipt = "r%d" % next(self._numbers)
        self.send(command, {**headers, "receipt": receipt}, body)
        while self._answer("RECEIPT", self.timeout).headers.get("receipt-id") != receipt:
            pass

    def message(self) -> Frame:
        """The next message.

        :raises StompError: none arrives in time.
        """
        return self._messages.pop(0) if self._messages else self._answer("MESSAGE", self.timeout)

    def messages(self, seconds: float) -> list[Frame]:
        """The messages that arrive within some seconds."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            frame = self._frame(left) if left > 0 else None
            if frame is None:
                break
            self._take(frame)
        found, self._messages = self._messages, []
        return found

    def close(self) -> None:
        self.timeout = min(self.timeout, 1)
        try:
            self.confirmed("DISCONNECT", {})
        except (OSError, StompError):
            pass
        self.stream.close()

    def _answer(self, command: str, seconds: float) -> Frame:
        deadline = time.monotonic() + seconds
        while True:
            frame = self._frame(max(deadline - time.monotonic(), 0.01))
            if frame is None:
                raise StompError("no answer in %d s" % seconds)
            if frame.command == command:
                return frame
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        if frame.command == "ERROR":
            text = frame.headers.get("message") or frame.body
            raise RefusedError(" ".join(text.split()) or "an error without a text")
        if frame.command == "MESSAGE":
            self._messages.append(frame)

    def _frame(self, seconds: float) -> Frame | None:
        """The next frame, None if none arrives in time."""
        deadline = time.monotonic() + seconds
        while True:
            # line breaks between frames are heart-beats
            rest = self._buffer.lstrip(b"\r\n")
            self.heart_beats += len(self._buffer) - len(rest)
            self._buffer = rest
            raw, end, rest = self._buffer.partition(b"\0")
            if end:
                self._buffer = rest
                return decoded(raw)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.stream.settimeout(left)
            try:
                data = self.stream.recv(65536)
            except socket.timeout:
                return None
            if not data:
                raise StompError("the broker closed the connection")
            self._buffer += data
