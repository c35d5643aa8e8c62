# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of Redis, for checks of a server."""

from __future__ import annotations

import socket
from typing import Any


class RedisError(Exception):
    """The server answered with an error, or its answer is not that of Redis."""


class Connection:
    """A session with a server.

    :param stream: a connected socket, with TLS where the server has it.
    """

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self._input = stream.makefile("rb")

    def call(self, *words: str) -> Any:
        """The answer to a command.

        :raises RedisError: it is an error.
        """
        encoded = [word.encode() for word in words]
        self.stream.sendall(
            b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in encoded)
        )
        return self._answer()

    def close(self) -> None:
        self._input.close()
        self.stream.close()

    def _answer(self) -> Any:
        line = self._input.readline()
        if not line:
            raise RedisError("it closed the connection")
        category, text = line[:1], line[1:].strip().decode(errors="replace")
        if category == b"-":
            raise RedisError(text)
        if category == b"+":
            return text
        try:
            number = int(text)
        except ValueError:
            number = None
        if category == b":" and number is not None:
            return number
        if category == b"$" and number is not None:
            if number < 0:
                return None
            return self._input.read(number + 2)[:-2].decode(errors="replace")
        if category == b"*" and number is not None:
            return [self._answer() for _item in range(number)]
        raise RedisError("its answer is not that of Redis: %r" % line[:40])
