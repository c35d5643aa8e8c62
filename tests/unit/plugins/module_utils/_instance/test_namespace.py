# SPDX-License-Identifier: GPL-3.0-or-later
"""The namespace of an instance: found in its configuration, and released at a real HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.namespace import (
    namespace_of,
    release_namespace,
)

CONF = """
[program:broker]
environment = SWF_BROKER_PORT="1"

[program:data-agent]
environment = SWF_NAMESPACE="a_b",%sSWF_MONITOR_URL="%s"
"""
OWNER = 'SWF_NAMESPACE_OWNER="swf-testbed@host:me",'


class Monitor(BaseHTTPRequestHandler):
    status = 204
    seen: list[tuple[str, str]] = []

    def do_DELETE(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"]))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Monitor)
    Monitor.seen.clear()
    Monitor.status = 204
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d" % server.server_port
    server.shutdown()
    server.server_close()


def places(tmp_path: Path, url: str) -> dict[str, str]:
    (tmp_path / "supervisord.conf").write_text(CONF % (OWNER, url))
    (tmp_path / "api_token").write_text("c0ffee\n")
    return {
        "supervisord_conf": str(tmp_path / "supervisord.conf"),
        "secrets_dir": str(tmp_path),
    }


def test_the_configuration_has_the_namespace(tmp_path: Path) -> None:
    path = tmp_path / "supervisord.conf"
    nothing = {"namespace": "", "namespace_owner": ""}
    assert namespace_of(str(path)) == nothing
    path.write_text(CONF % (OWNER, "http://m"))
    assert namespace_of(str(path)) == {
        "namespace": "a_b",
        "namespace_owner": "swf-testbed@host:me",
    }
    # of an earlier version, where it was the name of the instance
    path.write_text(CONF % ("", "http://m"))
    assert namespace_of(str(path)) == nothing


def test_the_claim_is_released_with_the_token(tmp_path: Path, url: str) -> None:
    assert release_namespace(places(tmp_path, url)) == "a_b"
    assert Monitor.seen == [
        ("/api/namespaces/a_b/?owner=swf-testbed%40host%3Ame", "Token c0ffee"),
    ]


def test_a_claim_that_cannot_be_released_is_no_error(tmp_path: Path, url: str) -> None:
    Monitor.status = 409
    assert release_namespace(places(tmp_path, url)) == ""
    assert release_namespace(places(tmp_path, "http://127.0.0.1:1")) == ""
    assert release_namespace(places(tmp_path, "ftp://x")) == ""
    (tmp_path / "supervisord.conf").unlink()
    assert release_namespace({"supervisord_conf": str(tmp_path / "x")}) == ""
