# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""The management address of Artemis: operations of the broker as messages over STOMP, so that
neither a web console nor JMX has to run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.sockets import (
    connect,
    pinned,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._service.stomp import (
    Connection,
    StompError,
)

#: these names are in the files of the role broker, too
USER = "swf-management"
REPLIES = "/topic/swf-broker.replies"
ADDRESS = "activemq.management"
PAGE = 1000
#: a service on all addresses is queried at the loopback address
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}

#: argument specification of the broker of this host, for modules
SPEC: dict[str, dict[str, Any]] = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
    "password_file": {"type": "path", "required": True, "no_log": False},
    "certificate": {"type": "path"},
    "timeout": {"type": "int", "default": 10},
}


class Management:
    """Call operations of the broker. For a ``with`` statement.

    :param broker: as in SPEC.
    :raises StompError: the broker refused the login, or does not answer.
    :raises OSError: it cannot be reached, or a file cannot be read.
    """

    def __init__(self, broker: Mapping[str, Any]) -> None:
        with open(broker["password_file"], encoding="utf-8") as stream:
            password = stream.read().strip()
        host = broker["host"].strip("[]")
        host = ANY_ADDRESS.get(host, host)
        plain = connect(host, broker["port"], broker["timeout"])
        try:
            certificate = broker.get("certificate")
            opened = pinned(plain, certificate) if certificate else plain
            self._connection = Connection(opened, broker["timeout"])
            self._connection.connect(host, USER, password)
        except Exception:
            plain.close()
            raise
        self._count = 0

    def __enter__(self) -> Management:
        self._connection.confirmed("SUBSCRIBE", {"id": "0", "destination": REPLIES, "ack": "auto"})
        return self

    def __exit__(
        self,
        exception: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def call(self, operation: str, *parameters: Any) -> Any:
        """The result of an operation of the broker.

        :raises StompError: the operation failed.
        """
        self._count += 1
        # all simultaneous clients see all replies
        number = "%d-%d" % (id(self), self._count)
        self._connection.send(
            "SEND",
            {
                "destination": ADDRESS,
                "reply-to": REPLIES,
                "correlation-id": number,
                "_AMQ_ResourceName": "broker",
                "_AMQ_OperationName": operation,
            },
            json.dumps(parameters),
        )
        while True:
            reply = self._connection.message()
            if reply.headers.get("correlation-id") == number:
                break
        values = json.loads(reply.body) if reply.body else []
        result = values[0] if values else None
        if reply.headers.get("_AMQ_OperationSucceeded") != "true":
            raise StompError("%s: %s" % (operation, result))
        return result

    def listed(self, operation: str) -> list[dict[str, Any]]:
        """All items of an operation that returns pages."""
        found: list[dict[str, Any]] = []
        while True:
            page = json.loads(self.call(operation, "", len(found) // PAGE + 1, PAGE))
            found += page["data"]
            if len(found) >= int(page["count"]) or not page["data"]:
                return found
