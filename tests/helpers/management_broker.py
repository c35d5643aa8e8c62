# SPDX-License-Identifier: GPL-3.0-or-later
"""The management address of Artemis over STOMP, as its versions 2.40 and 2.56 answer: a server for
tests of modules, with addresses and queues in memory."""

from __future__ import annotations

import contextlib
import json
import socketserver
import ssl
import threading

PASSWORD = "canary of the management"


class Failure(Exception):
    """What the broker reports instead of a result."""


class State:
    def __init__(self):
        self.addresses = {"swf-broker.replies": {"MULTICAST"}, "DLQ": {"ANYCAST"}}
        self.queues = {}
        self.calls = []
        self.silent = False
        self.queue("DLQ", "DLQ")

    def queue(self, name, address, routing="ANYCAST", messages=0, readers=0):
        self.addresses.setdefault(address, set()).add(routing)
        self.queues[name] = {
            "name": name,
            "address": address,
            "routingType": routing,
            "messageCount": str(messages),
            "deliveringCount": "0",
            "consumerCount": str(readers),
            "durable": "true",
        }

    # operations of the broker

    def getVersion(self):
        return "2.56.0"

    @staticmethod
    def page(items, number, size):
        part = items[(number - 1) * size : number * size]
        return json.dumps({"data": part, "count": len(items)})

    def listQueues(self, _options, number, size):
        return self.page(list(self.queues.values()), number, size)

    def listAddresses(self, _options, number, size):
        items = [
            {"name": name, "routingTypes": json.dumps(sorted(types))}
            for name, types in self.addresses.items()
        ]
        return self.page(items, number, size)

    def createAddress(self, name, routing):
        if name in self.addresses:
            raise Failure("AMQ229204: Address already exists: " + name)
        self.addresses[name] = {routing}

    def updateAddress(self, name, routing):
        left = {queue["routingType"] for queue in self.queues.values() if queue["address"] == name}
        if left - {routing}:
            raise Failure("AMQ229209: Can't remove routing type, queues exist for address " + name)
        self.addresses[name] = {routing}

    def createQueue(self, configuration):
        asked = json.loads(configuration)
        self.queue(asked["name"], asked["address"], asked["routing-type"])

    def destroyQueue(self, name, consumers, _address):
        if self.queues[name]["consumerCount"] != "0" and not consumers:
            raise Failure("AMQ229025: Cannot delete queue " + name)
        del self.queues[name]


class Session(socketserver.StreamRequestHandler):
    def frame(self):
        data = b""
        while not data.endswith(b"\0"):
            one = self.rfile.read(1)
            if not one:
                return None
            data += one if data or one not in b"\r\n" else b""
        head, _empty, body = data[:-1].decode().partition("\n\n")
        command, *lines = head.split("\n")
        return command, dict(line.split(":", 1) for line in lines), body

    def answer(self, command, headers, body=""):
        lines = [command, *("%s:%s" % pair for pair in headers.items())]
        self.wfile.write(("\n".join(lines) + "\n\n" + body + "\0\n").encode())

    def handle(self):
        state = self.server.state
        while True:
            found = self.frame()
            if found is None or found[0] == "DISCONNECT":
                return
            command, headers, body = found
            if command == "CONNECT":
                if (headers["login"], headers["passcode"]) != ("swf-management", PASSWORD):
                    self.answer("ERROR", {"message": "Security Error occurred"})
                    return
                self.answer("CONNECTED", {"version": "1.2"})
            elif command == "SUBSCRIBE":
                assert headers["destination"] == "/topic/swf-broker.replies"
                self.answer("RECEIPT", {"receipt-id": headers["receipt"]})
            elif command == "SEND" and not state.silent:
                self.operation(state, headers, json.loads(body))

    def operation(self, state, headers, parameters):
        assert headers["destination"] == "activemq.management"
        assert headers["_AMQ_ResourceName"] == "broker"
        name = headers["_AMQ_OperationName"]
        state.calls.append((name, *parameters))
        try:
            succeeded, result = "true", getattr(state, name)(*parameters)
        except Failure as failure:
            succeeded, result = "false", str(failure)
        # of another one that asks at the same time
        self.answer("MESSAGE", {"correlation-id": "another"}, '["not yours"]')
        self.answer(
            "MESSAGE",
            {
                "correlation-id": headers["correlation-id"],
                "_AMQ_OperationSucceeded": succeeded,
            },
            json.dumps([result]),
        )


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

    def __init__(self, state, context=None):
        super().__init__(("127.0.0.1", 0), Session)
        self.state, self.context = state, context

    def get_request(self):
        connection, address = super().get_request()
        if self.context:
            connection = self.context.wrap_socket(connection, server_side=True)
        return connection, address

    def handle_error(self, request, client_address):
        """A client that closes the connection is no error."""


@contextlib.contextmanager
def management_broker(folder, certificate=None):
    """(state, option ``broker`` of the modules) of a server.

    :param certificate: (certificate, key), paths of PEM files, for TLS.
    """
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    (folder / "management").write_text(PASSWORD + "\n")
    with Server(State(), context) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield (
            server.state,
            {
                "host": "127.0.0.1",
                "port": server.server_address[1],
                "password_file": str(folder / "management"),
                "certificate": str(certificate[0]) if certificate else "",
                "timeout": 3,
            },
        )
        server.shutdown()
