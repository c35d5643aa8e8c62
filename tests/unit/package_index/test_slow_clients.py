# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that connect and do not send a whole request: others are served meanwhile, and the index
gets rid of them."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.served_index import PUBLISHER, READER, running_index

# less than the 10 seconds after which a slow client is closed
ANSWER_SECONDS = 8
LOGIN = base64.b64encode(("publisher:" + PUBLISHER).encode()).decode()
HEADERS = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=edge\r\nContent-Length: %d\r\n"
# a TLS record that announces 512 bytes of a ClientHello, and has one of them
HALF_HANDSHAKE = b"\x16\x03\x01\x02\x00\x01"


@pytest.fixture(name="index", scope="module", params=[True, False], ids=["tls", "plain"])
def running(request, tmp_path_factory):
    with running_index(tmp_path_factory.mktemp("index"), tls=request.param) as found:
        yield found


def connected(index, text=None):
    """A connection on which a text was sent; with TLS after the handshake, None stands for a part
    of that."""
    connection = socket.create_connection(("127.0.0.1", index.port), timeout=60)
    tls = index.url.startswith("https")
    if text is None:
        connection.sendall(HALF_HANDSHAKE if tls else b"G")
        return connection
    if tls:
        connection = ssl.create_default_context(cafile=str(index.ca)).wrap_socket(
            connection, server_hostname="127.0.0.1"
        )
    connection.sendall(text.encode())
    return connection


@contextlib.contextmanager
def half_open(index, number, text):
    with contextlib.ExitStack() as stack:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for connection in pool.map(lambda _number: connected(index, text), range(number)):
                stack.enter_context(connection)
        yield


BODY = HEADERS % 10_000_000 + "\r\nsome"
BODY_WITH_LOGIN = HEADERS % 10_000_000 + "Authorization: Basic %s\r\n\r\nsome" % LOGIN


@pytest.mark.parametrize(
    "text",
    [None, "GET /simple/ HTTP/1.1\r\nHost: x\r\nX-Thing: ", BODY, BODY_WITH_LOGIN],
    ids=["handshake", "headers", "body", "body with a login"],
)
def test_others_are_served_while_200_requests_are_incomplete(index, text, tmp_path):
    with half_open(index, 200, text):
        for _number in range(5):
            began = time.monotonic()
            assert index.ask("/simple/swf-thing/", "reader", READER)[0] == 200
            assert time.monotonic() - began < ANSWER_SECONDS
        for command in (
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"],
            [
                str(Path(sys.executable).parent / "uv"),
                "pip",
                "install",
                "--quiet",
                "--python",
                sys.executable,
            ],
        ):
            done = subprocess.run(
                [*command, "--target", str(tmp_path / Path(command[0]).name), "swf-thing"],
                env=index.client(),
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 0, done.stdout + done.stderr


def test_others_are_served_while_more_are_incomplete_than_there_are_threads(index):
    with half_open(index, 300, None), half_open(index, 400, "GET /simple/ HTTP/1.1\r\n"):
        began = time.monotonic()
        assert index.ask("/simple/swf-thing/", "reader", READER)[0] == 200
        assert time.monotonic() - began < ANSWER_SECONDS


def seconds_until_closed(connection, drop):
    """How long the index waits for a client that sends a byte each half a second."""
    began = time.monotonic()
    connection.settimeout(0.5)
    while time.monotonic() - began < 40:
        with contextlib.suppress(TimeoutError):
            try:
                connection.sendall(drop)
                if not connection.recv(1000):
                    break
            except OSError as error:
                if isinstance(error, TimeoutError):
                    raise
                break
    connection.close()
    return time.monotonic() - began


def slow_upload(index, name, size, rate):
    """The status line that an upload gets which takes its time."""
    start = (
        "--edge\r\nContent-Disposition: form-data; "
        'name=":action"\r\n\r\nfile_upload\r\n--edge\r\nContent-Disposition: '
        'form-data; name="content"; filename="%s"\r\n\r\n' % name
    )
    end = "\r\n--edge--\r\n"
    headers = HEADERS % (len(start) + size + len(end)) + "Authorization: Basic %s\r\n\r\n" % LOGIN
    with connected(index, headers + start) as client:
        for _part in range(0, size, rate // 10):
            client.sendall(b"x" * (rate // 10))
            time.sleep(0.1)
        client.sendall(end.encode())
        return client.recv(1000).decode().splitlines()[0]


def test_a_client_that_drips_is_closed_and_a_slow_upload_is_not(index):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        dripping = [
            pool.submit(seconds_until_closed, connected(index, text), b"x")
            for text in ("GET /simple/ HTTP/1.1\r\nHost: x\r\nX-Thing: ", BODY, BODY_WITH_LOGIN)
        ]
        upload = pool.submit(slow_upload, index, "swf_slow-1.0.tar.gz", 2_000_000, 100_000)
        assert all(10 < one.result() < 25 for one in dripping), [one.result() for one in dripping]
        assert upload.result() == "HTTP/1.1 200 OK"
    assert "did not send a request in time" in (index.folder / "log").read_text()


def test_a_large_package_is_uploaded_and_downloaded(index):
    content = bytes(200_000_000)
    assert index.upload("swf_large-1.0.tar.gz", "publisher", PUBLISHER, content)[0] == 200
    assert (index.packages / "swf_large-1.0.tar.gz").stat().st_size == len(content)
    status, _content_type, text = index.ask("/packages/swf_large-1.0.tar.gz", "reader", READER)
    assert (status, len(text)) == (200, len(content))
