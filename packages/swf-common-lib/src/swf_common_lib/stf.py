# SPDX-License-Identifier: GPL-3.0-or-later
"""STF (super time frame) files: their names, paths, checksums and time frames."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: The simulated detector writes time frames of this size; the last one of a file may be shorter.
TIME_FRAME_BYTES = 4096
_CHUNK_BYTES = 1 << 20
_FILENAME = re.compile(r"swf\.(\d{6,})\.(\d{6,})\.stf")


@dataclass(frozen=True, order=True)
class StfName:
    """Run and sequence number of an STF file; sorts in the order of the data taking."""

    run_id: int
    sequence: int

    @classmethod
    def parse(cls, filename: str) -> StfName:
        """Parse a file name.

        :raises ValueError: it is not the name of an STF file
        """
        match = _FILENAME.fullmatch(filename)
        if not match:
            raise ValueError(f"not the name of an STF file: {filename!r}")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"swf.{self.run_id:06d}.{self.sequence:06d}.stf"

    def path(self, data_dir: Path) -> Path:
        """The path of the file. It follows from the name, so no message can refer to another
        file."""
        return run_directory(data_dir, self.run_id) / str(self)

    def time_frame(self, index: int) -> str:
        """The name of the time frame with this index, counted from 0."""
        return f"swf.{self.run_id:06d}.{self.sequence:06d}.{index:06d}.tf"


def run_directory(data_dir: Path, run_id: int) -> Path:
    """The directory of the files of a run."""
    return data_dir / f"run-{run_id:06d}"


def stf_files(data_dir: Path) -> Iterator[StfName]:
    """The complete STF files, in no particular order."""
    for path in data_dir.glob("run-*/swf.*.stf"):
        try:
            yield StfName.parse(path.name)
        except ValueError:
            continue


def checksum(path: Path, between: Callable[[], None] = lambda: None) -> tuple[str, int]:
    """Read a file and return ("sha256:<hex>", size in bytes).

    :param between: called before each MiB; it may raise to stop
    :raises OSError: the file cannot be read
    """
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while True:
            between()
            chunk = file.read(_CHUNK_BYTES)
            if not chunk:
                return f"sha256:{digest.hexdigest()}", size
            digest.update(chunk)
            size += len(chunk)
