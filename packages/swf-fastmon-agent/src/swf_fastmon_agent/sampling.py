# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads single time frames from an STF file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from swf_common_lib.stf import TIME_FRAME_BYTES


class SampleError(Exception):
    """The file cannot be sampled; the text is the cause."""


@dataclass(frozen=True)
class TimeFrame:
    """One time frame: its index in the file, counted from 0, its offset and its size in bytes."""

    index: int
    offset: int
    size_bytes: int


def sample(path: Path, size_bytes: int, count: int) -> list[TimeFrame]:
    """Read time frames that are spread evenly over the file, always the same for the same file.

    :param size_bytes: the expected size of the file
    :param count: the number of time frames, or all if there are fewer
    :raises SampleError: the file cannot be read, or a frame is incomplete
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
