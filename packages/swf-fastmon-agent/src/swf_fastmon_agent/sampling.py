# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads single time frames out of an STF file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swf_common_lib.stf import TIME_FRAME_BYTES


class SampleError(Exception):
    """The file cannot be sampled; the text says why."""


@dataclass(frozen=True)
class TimeFrame:
    """One time frame: its index in the file, counted from 0, where it begins, and how long it is
    (bytes)."""

    index: int
    offset: int
    size_bytes: int


def sample(path: Path, size_bytes: int, count: int) -> list[TimeFrame]:
    """Read time frames spread evenly over the file; the same file always gives the same ones.

    :param size_bytes: the size the file should have
    :param count: how many, or all if there are fewer
    :raises SampleError: the file cannot be read, or a frame is not where it should be
    """
    total = -(-size_bytes // TIME_FRAME_BYTES)
    frames = []
    try:
        with path.open("rb") as file:
            for number in range(min(count, total)):
                index = number * total // min(count, total)
                offset = index * TIME_FRAME_BYTES
                length = min(TIME_FRAME_BYTES, size_bytes - offset)
                file.seek(offset)
                read = len(file.read(length))
                if read != length:
                    raise SampleError(f"time frame {index} has {read} bytes, expected {length}")
                frames.append(TimeFrame(index, offset, length))
    except OSError as error:
        raise SampleError(f"cannot read the file: {error.strerror}: {error.filename}") from None
    return frames
