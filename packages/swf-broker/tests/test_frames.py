# SPDX-License-Identifier: GPL-3.0-or-later
"""The parser, split at every byte, and the escapes of each version."""

from __future__ import annotations

import pytest

from swf_broker.frames import Frame, FrameParser, ProtocolError, encode

STREAM = (
    b"\n\nSEND\ndestination:/queue/a\nwhen:12\\c00\\nx\nwhen:second\n\nhello\0\n"
    b"\r\nACK\r\nid:7\r\n\r\n\0"
    b"SEND\ncontent-length:7\nempty:\n\na\0b\n\nc\0\0\n"
    b"SEND\n\n\0"
)
FRAMES = [
    Frame("SEND", {"destination": "/queue/a", "when": "12:00\nx"}, b"hello"),
    Frame("ACK", {"id": "7"}),
    Frame("SEND", {"content-length": "7", "empty": ""}, b"a\0b\n\nc\0"),
    Frame("SEND", {}),
]


def parse(*chunks: bytes, version: str = "1.2") -> list[Frame]:
    parser = FrameParser()
    parser.version = version
    frames = []
    for chunk in chunks:
        parser.feed(chunk)
        while frame := parser.next_frame():
            frames.append(frame)
    return frames


def test_split_at_every_byte() -> None:
    for at in range(len(STREAM) + 1):
        assert parse(STREAM[:at], STREAM[at:]) == FRAMES


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11])
def test_small_chunks(size: int) -> None:
    assert parse(*(STREAM[n : n + size] for n in range(0, len(STREAM), size))) == FRAMES


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize(
    "value", ["a:b", "line\nline", "back\\slash", "\\n", "\\\\c", "ünïcode", " spaces "]
)
def test_headers_come_back_as_they_were(version: str, value: str) -> None:
    (frame,) = parse(encode("SEND", {value: value}, b"", version), version=version)
    assert frame.headers == {value: value}


def test_carriage_returns_survive() -> None:
    (frame,) = parse(encode("SEND", {"a": "x\r"}, b"", "1.2"))
    assert frame.headers == {"a": "x\r"}
    (frame,) = parse(encode("SEND", {"a": "x\r"}, b"", "1.1"), version="1.1")
    assert frame.headers == {"a": "x\r"}


def test_connect_is_never_escaped() -> None:
    (frame,) = parse(b"CONNECT\npasscode:a\\b:c\n\n\0")
    assert frame.headers == {"passcode": "a\\b:c"}


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"SEND\nno colon\n\n\0", "without a colon"),
        (b"SEND\na:\\t\n\n\0", "an escape"),
        (b"SEND\na:b\\\n\n\0", "an escape"),
        (b"SEND\ncontent-length:-1\n\n\0", "not a number"),
        (b"SEND\ncontent-length:2\n\nabc\0", "no NUL"),
        (b"SEND\ncontent-length:999999999\n\n", "longer than"),
        (b"SEND\na:\xff\n\n\0", "not UTF-8"),
        (b"x" * 70_000, "headers are longer"),
    ],
)
def test_invalid_frames_are_refused(raw: bytes, cause: str) -> None:
    with pytest.raises(ProtocolError, match=cause):
        parse(raw)
