# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole files and ranges of them."""

from __future__ import annotations

import pytest
from sending import sent

TEXT = b"0123456789" * 3
PARTS = [b"", b"0123456789", b"012", b"3456789", b"0123456789"]


def answer(size=30, method="GET", etag='"x"', **headers):
    """(status, headers, body)"""
    seen = {}

    def start(status, pairs):
        seen.update(status=status, headers=dict(pairs))

    environ = {"REQUEST_METHOD": method, **headers}
    body = b"".join(sent(environ, start, size, iter(PARTS), etag=etag))
    return seen["status"][:3], seen["headers"], body


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-14", 5, 15),
        ("bytes=12-", 12, 30),
        ("bytes=29-29", 29, 30),
        ("bytes=29-99", 29, 30),
        ("bytes=-5", 25, 30),
        ("bytes=-99", 0, 30),
        ("bytes=0-", 0, 30),
    ],
)
def test_a_range_is_exactly_that(asked, start, end):
    status, headers, body = answer(HTTP_RANGE=asked)
    assert (status, body) == ("206", TEXT[start:end])
    assert headers["Content-Range"] == "bytes %d-%d/30" % (start, end - 1)
    assert headers["Content-Length"] == str(end - start)
    status, same, body = answer(method="HEAD", HTTP_RANGE=asked)
    assert (status, same, body) == ("206", headers, b"")


@pytest.mark.parametrize("asked", ["bytes=30-", "bytes=31-40", "bytes=5-4", "bytes=-0"])
def test_what_is_not_in_the_file_is_416(asked):
    status, headers, body = answer(HTTP_RANGE=asked)
    assert (status, headers["Content-Range"], body) == ("416", "bytes */30", b"")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"HTTP_RANGE": "bytes=-"},
        {"HTTP_RANGE": "bytes=0-1,3-4"},
        {"HTTP_RANGE": "lines=1-2"},
        {"HTTP_RANGE": "bytes=1-2", "HTTP_IF_RANGE": '"old"'},
        {"HTTP_RANGE": "bytes=1-2", "etag": None, "HTTP_IF_RANGE": '"x"'},
    ],
)
def test_anything_else_gets_the_whole_file(headers):
    status, found, body = answer(**headers)
    assert (status, body, found["Content-Length"]) == ("200", TEXT, "30")
    assert answer(method="HEAD", **headers)[1:] == (found, b"")


def test_the_rest_of_an_unchanged_file():
    assert answer(HTTP_RANGE="bytes=28-", HTTP_IF_RANGE='"x"')[2] == b"89"


def test_without_a_known_size_there_are_no_ranges():
    status, headers, body = answer(size=None, HTTP_RANGE="bytes=1-2")
    assert (status, body) == ("200", TEXT) and "Content-Length" not in headers
