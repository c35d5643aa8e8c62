# SPDX-License-Identifier: GPL-3.0-or-later
"""What an external monitor does for the API token of the programs: against a real HTTP server."""

from __future__ import annotations

import contextlib
import email.utils
import http.server
import threading
import time

import pytest

from helpers.used_services import findings, texts

TOKEN = "canary"


@contextlib.contextmanager
def server(status=200, offset=0.0):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            allowed = self.headers["Authorization"] == "Token " + TOKEN
            self.send_response_only(status if allowed and self.path == "/m/api/" else 401)
            self.send_header("Date", email.utils.formatdate(time.time() + offset, usegmt=True))
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made.server_port
        made.shutdown()


def item(port, token=TOKEN):
    url = "http://127.0.0.1:%d/m/api/" % port
    return {"protocol": "http", "url": url, "password": token}


def test_a_monitor_that_knows_the_token():
    with server() as port:
        assert texts(port, **item(port)) == []


def test_a_monitor_that_does_not():
    with server() as port:
        (text,) = texts(port, **item(port, "wrong"))
    assert text.startswith(
        "the monitor refuses the API token of the programs. Evidence: http://127"
    )
    assert text.endswith("it answers 401. Fix: Correct swf_testbed_api_token")


@pytest.mark.parametrize("status", [404, 502])
def test_something_else_answers(status):
    with server(status) as port:
        (text,) = texts(port, **item(port))
    assert "does not answer its API" in text and "it answers %d" % status in text


@pytest.mark.parametrize("offset, side", [(60, "ahead"), (-60, "behind")])
def test_a_clock_that_differs(offset, side):
    with server(offset=offset) as port:
        (found,) = findings(port, **item(port))
    assert found["severity"] == "warning" and "it is %s by" % side in found["evidence"]
