# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes STF files, and marks open runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from swf_common_lib.stf import StfName, run_directory

_CHUNK_BYTES = 1 << 20
_OPEN_MARK = ".open"


def write_stf(data_dir: Path, name: StfName, size: int) -> str:
    """Write a file with random content; it appears under its name when it is complete.

    :param size: bytes
    :returns: its checksum, "sha256:<hex>"
    :raises OSError: it could not be written; no part of it remains
    """
    path = name.path(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    digest = hashlib.sha256()
    try:
        with unfinished.open("wb") as file:
            for offset in range(0, size, _CHUNK_BYTES):
                chunk = os.urandom(min(_CHUNK_BYTES, size - offset))
                digest.update(chunk)
                file.write(chunk)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return f"sha256:{digest.hexdigest()}"


def remove_unfinished(data_dir: Path) -> None:
    """Remove the unfinished files of a killed simulator."""
    for path in data_dir.glob("run-*/.swf.*.tmp"):
        path.unlink(missing_ok=True)


def mark_open(data_dir: Path, run_id: int) -> None:
    """Record that the run was started."""
    directory = run_directory(data_dir, run_id)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _OPEN_MARK).touch()


def mark_ended(data_dir: Path, run_id: int) -> None:
    """Record that the end of the run was announced."""
    (run_directory(data_dir, run_id) / _OPEN_MARK).unlink(missing_ok=True)


def open_runs(data_dir: Path) -> Iterator[int]:
    """Runs whose end was not announced, because the simulator was killed or the broker was
    unavailable."""
    for mark in data_dir.glob(f"run-*/{_OPEN_MARK}"):
        number = mark.parent.name[len("run-") :]
        if number.isdecimal():
            yield int(number)
