# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of this machine are never asked for through a proxy: there, they would mean the
proxy."""

from __future__ import annotations

import http.server
import socket
import threading

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.client import (
    Client,
    is_loopback,
    proxy_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance import health


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok"}')

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class V6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture(name="serve")
def servers():
    started = []

    def serve(address="127.0.0.1"):
        server = (V6 if ":" in address else http.server.ThreadingHTTPServer)(
            (address, 0), Answering
        )
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return server

    yield serve
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "address, written",
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "LOCALHOST"),
        ("127.8.9.1", "127.8.9.1"),
        ("::1", "[::1]"),
    ],
)
@pytest.mark.parametrize("no_proxy", [None, "example.org"])
def test_this_machine_is_asked_without_the_proxy(serve, monkeypatch, address, written, no_proxy):
    try:
        server, proxy = serve(address), serve()
    except OSError:
        pytest.skip("this machine has no %s" % address)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:%d" % proxy.server_port)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        if no_proxy:
            monkeypatch.setenv(name, no_proxy)
    url = "http://%s:%d/simple/" % (written, server.server_port)
    assert Client().get(url).status == 200 and health.ask(url, None) == ({"status": "ok"}, None)
    assert server.asked and not proxy.asked
    assert proxy_of(url) is None


def test_other_machines_are_asked_through_it(serve, monkeypatch):
    proxy = serve()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:%d" % proxy.server_port)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert Client().get("http://index.example.org/simple/").status == 200
    assert proxy.asked == ["http://index.example.org/simple/"]
    assert proxy_of("http://index.example.org/") == "127.0.0.1:%d" % proxy.server_port


@pytest.mark.parametrize(
    "host",
    ["", None, "example.org", "localhost.example.org", "10.0.0.1", "::2", "127.0.0.1.example.org"],
)
def test_what_is_not_this_machine(host):
    assert not is_loopback(host)
