# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's answers come from a stand-in HTTP server; Molecule asks a real monitor."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading

import pytest

from run_module import run_module

GOOD = {"status": "ok", "database": {"ok": True}, "listener": {"ok": True}}
BAD = {"status": "error", "database": {"ok": True}, "listener": {"ok": False, "detail": "not subscribed"}}


@contextlib.contextmanager
def stand_in(*answers):
    """A server that gives these (status, body) one after the other, and the last one for ever. Gives its URL."""
    left = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield "http://127.0.0.1:%d/api/health/" % server.server_port
    finally:
        server.shutdown()
        server.server_close()


def test_healthy():
    with stand_in((200, GOOD)) as url:
        answer = run_module("testbed_health", {"url": url})
    assert answer["healthy"] and answer["health"] == GOOD and not answer["changed"]


def test_waits_until_it_is():
    with stand_in((503, BAD), (503, BAD), (200, GOOD)) as url:
        assert run_module("testbed_health", {"url": url, "timeout": 30})["healthy"]


def test_what_is_wrong_is_named_with_the_log_to_look_at():
    with stand_in((503, BAD)) as url:
        answer = run_module("testbed_health", {"url": url})
    assert answer["failed"] and "the listener is not well: not subscribed" in answer["msg"]
    assert "swf-testbed logs monitor-listener" in answer["msg"]


@pytest.mark.parametrize("status,body,message", [
    (404, b"", "it answers HTTP 404"), (200, b"<html>", "no usable answer"), (200, b"[]", "it answers something else")])
def test_what_is_no_monitor_is_named(status, body, message):
    with stand_in((status, body)) as url:
        assert message in run_module("testbed_health", {"url": url})["msg"]


def test_nothing_there():
    answer = run_module("testbed_health", {"url": "http://127.0.0.1:9/"})
    assert "Connection refused" in answer["msg"] and "swf-testbed logs monitor" in answer["msg"]


def test_check_mode_asks_once_and_does_not_fail():
    with stand_in((503, BAD)) as url:
        answer = run_module("testbed_health", {"url": url, "timeout": 600}, check=True)
    assert not answer["failed"] and not answer["healthy"]
