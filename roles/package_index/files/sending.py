# Copyright: Contributors to the bnlnpps.swf_testbed collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer to GET and HEAD for a file, whole or for one range of its bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def sent(
    environ: dict[str, Any],
    start_response: Callable[..., Any],
    size: int | None,
    parts: Iterator[bytes],
    headers: Iterable[tuple[str, str]] = (),
    etag: str | None = None,
) -> Iterable[bytes]:
    """
    :param size: None if it is unknown; then there are no ranges.
    :param parts: of the whole file.
    """
    headers = [("Content-Type", "application/octet-stream"), *headers]
    if etag:
        headers.append(("ETag", etag))
    status, start, end = "200 OK", 0, size
    if size is not None:
        headers.append(("Accept-Ranges", "bytes"))
        asked = RANGE.fullmatch(environ.get("HTTP_RANGE") or "")
        # several ranges, or those of another file: the whole one is also a correct answer
        if asked and any(asked.groups()) and environ.get("HTTP_IF_RANGE", etag) == etag:
            start, end = limits(asked[1], asked[2], size)
            if start >= end:
                status, start, end = "416 Range Not Satisfiable", 0, 0
                headers.append(("Content-Range", "bytes */%d" % size))
            else:
                status = "206 Partial Content"
                headers.append(("Content-Range", "bytes %d-%d/%d" % (start, end - 1, size)))
        headers.append(("Content-Length", str(end - start)))  # type: ignore[operator]
    start_response(status, headers)
    if environ["REQUEST_METHOD"] == "HEAD" or end == 0:
        return []
    return parts if end == size and not start else cut(parts, start, end or 0)


def limits(first: str, last: str, size: int) -> tuple[int, int]:
    """(first byte, byte after the last) of a range."""
    if not first:
        return max(0, size - int(last)), size if int(last) else 0
    return int(first), min(size, int(last) + 1) if last else size


def cut(parts: Iterator[bytes], start: int, end: int) -> Iterator[bytes]:
    """The bytes of a range."""
    position = 0
    for part in parts:
        piece = part[max(0, start - position) : end - position]
        position += len(part)
        if piece:
            yield piece
        if position >= end:
            return
