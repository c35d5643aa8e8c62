# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes finished files."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from swf_common_lib.monitor import MonitorClient
from swf_common_lib.stf import StfName, run_directory, stf_files

logger = logging.getLogger(__name__)


class Retention:
    """Retains the newest finished files. Finished files are processed and sampled; other files are
    never removed.

    :param monitor: has the status of the files
    :param data_dir: the directory of the files
    :param retained: the number of finished files that stay
    """

    def __init__(self, monitor: MonitorClient, data_dir: Path, retained: int) -> None:
        self._monitor = monitor
        self._data_dir = data_dir
        self._retained = retained
        self._finished: set[StfName] = set()

    def apply(self) -> int:
        """Remove all but the newest finished files; return the number of removed files."""
        on_disk = set(stf_files(self._data_dir))
        if len(on_disk) <= self._retained:
            return 0
        self._finished &= on_disk
        for run_id in sorted({name.run_id for name in on_disk - self._finished}):
            self._query(run_id)
        finished = sorted(self._finished & on_disk)
        surplus = finished[: max(0, len(finished) - self._retained)]
        for name in surplus:
            name.path(self._data_dir).unlink(missing_ok=True)
        if surplus:
            logger.info(
                "finished files removed", extra={"count": len(surplus), "newest": str(surplus[-1])}
            )
        self._remove_empty_directories(on_disk - set(surplus), {name.run_id for name in surplus})
        return len(surplus)

    def _query(self, run_id: int) -> None:
        rows = self._monitor.stf_files(run_id=run_id, status="processed", sampled="true")
        self._finished |= {StfName.parse(row["filename"]) for row in rows}

    def _remove_empty_directories(self, left: set[StfName], run_ids: set[int]) -> None:
        newest = max((name.run_id for name in left), default=0)
        for run_id in run_ids - {name.run_id for name in left}:
            # the newest run may still write its next file
            if run_id < newest:
                with contextlib.suppress(OSError):
                    run_directory(self._data_dir, run_id).rmdir()
