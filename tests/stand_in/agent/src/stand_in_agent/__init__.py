# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent of the stand-in stack: it sends heartbeats with the token of its environment, and
messages if there is a broker."""

from __future__ import annotations

import json
import os
import socket
import ssl
import time
import urllib.request

import stomp

SECONDS = 2
TOPIC = "/topic/stand-in"


class Broker:
    """Sends messages, and connects again after an outage."""

    def __init__(self) -> None:
        address = [(os.environ["ACTIVEMQ_HOST"], int(os.environ["ACTIVEMQ_PORT"]))]
        self.connection = stomp.Connection(address)
        self.connection.set_ssl(address, ca_certs=os.environ["STAND_IN_CA"])

    def send(self, body: dict) -> None:
        if not self.connection.is_connected():
            login = (os.environ["ACTIVEMQ_USER"], os.environ["ACTIVEMQ_PASSWORD"])
            self.connection.connect(*login, wait=True)
        self.connection.send(TOPIC, json.dumps(body))


def main() -> None:
    url = os.environ["SWF_MONITOR_URL"] + "/api/systemagents/heartbeat/"
    headers = {
        "Authorization": "Token " + os.environ["SWF_API_TOKEN"],
        "Content-Type": "application/json",
    }
    body = {
        "instance_name": "stand-in-agent-%s" % os.environ["USER"],
        "pid": os.getpid(),
        "hostname": socket.gethostname(),
    }
    context = ssl.create_default_context(cafile=os.environ.get("STAND_IN_CA"))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    broker = Broker() if "ACTIVEMQ_HOST" in os.environ else None
    while True:
        try:
            opener.open(
                urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=10
            ).close()
            if broker:
                broker.send(body)
            print("heard", flush=True)
        except (OSError, stomp.exception.StompException) as error:
            print("not heard: %s" % error, flush=True)
        time.sleep(SECONDS)
