# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers STF files at the monitor, forwards them, and removes finished files."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from swf_common_lib.agent import BaseAgent, Handler
from swf_common_lib.cli import Option
from swf_common_lib.messages import DATA_QUEUE, FASTMON_QUEUE, PROCESSING_QUEUE, Message
from swf_common_lib.repeats import Repeats
from swf_common_lib.settings import AgentSettings, Environment

from swf_data_agent import __version__
from swf_data_agent.retention import Retention

logger = logging.getLogger(__name__)

_RETENTION_EVERY = 10.0
_RECONCILE_EVERY = 30.0
_RECONCILE_AGE = 60
_RECONCILE_LIMIT = 100


class DataAgent(BaseAgent):
    """Turns `stf_gen` into a registered file and `stf_ready`.

    :param settings: the settings of every agent
    :param keep_files: the number of finished files that stay on disk
    """

    agent_type = "data"
    description = "Registers STF files and forwards them."
    version = __version__
    uses_data = True
    marks_data = True
    queues = (DATA_QUEUE,)
    options = (
        Option("--keep-files", "SWF_KEEP_FILES", "finished STF files that stay on disk (200)"),
    )

    def __init__(self, settings: AgentSettings, keep_files: int = 200) -> None:
        super().__init__(settings)
        self._repeats = {
            queue: Repeats[str](pause=_RECONCILE_AGE) for queue in (PROCESSING_QUEUE, FASTMON_QUEUE)
        }
        self._retention = Retention(self.monitor, settings.data_dir, keep_files)

    @classmethod
    def from_environment(cls, env: Environment) -> DataAgent:
        """Create the agent.

        :raises ConfigurationError: a variable is wrong
        """
        settings = AgentSettings.from_environment(cls.agent_type, env)
        return cls(settings, keep_files=env.integer("SWF_KEEP_FILES", 200))

    def handlers(self) -> Mapping[str, Handler]:
        """The handlers of the run's messages and of new files."""
        return {
            "run_imminent": lambda message: self.monitor.update_run(
                message.run_id, status="imminent"
            ),
            "start_run": self._on_start_run,
            "end_run": self._on_end_run,
            "stf_gen": self._on_stf_gen,
        }

    def work(self) -> None:
        """Remove finished files, and send files without progress again."""
        next_reconcile = time.monotonic() + _RECONCILE_EVERY
        while not self.shutdown.wait(_RETENTION_EVERY):
            self._retention.apply()
            if time.monotonic() >= next_reconcile:
                self._reconcile()
                next_reconcile = time.monotonic() + _RECONCILE_EVERY

    def _on_start_run(self, message: Message) -> None:
        self.monitor.update_run(message.run_id, status="running", started_at=message.sent_at)

    def _on_end_run(self, message: Message) -> None:
        self.monitor.update_run(
            message.run_id,
            status="ended",
            ended_at=message.sent_at,
            total_files=message["total_files"],
        )

    def _on_stf_gen(self, message: Message) -> None:
        file = {
            name: message[name]
            for name in ("filename", "path", "size_bytes", "checksum", "sequence")
        }
        row = self.monitor.register_stf(run_id=message.run_id, **file)
        if row["status"] in ("processed", "failed"):
            return  # announced again while the first announcement was pending
        self.publish(
            "stf_ready",
            message.run_id,
            started_at=message["started_at"],
            ended_at=message["ended_at"],
            **file,
        )
        logger.info("file registered", extra={"file": file["filename"]})

    def _reconcile(self) -> None:
        """Send files that are unfinished at the monitor again, so that every registered file is
        processed."""
        unprocessed = [
            row
            for status in ("registered", "processing")
            for row in self.monitor.stf_files(
                namespace=self.namespace.name,
                status=status,
                older_than=_RECONCILE_AGE,
                limit=_RECONCILE_LIMIT,
            )
        ]
        unsampled = [
            row
            for status in ("registered", "processing", "processed")
            for row in self.monitor.stf_files(
                namespace=self.namespace.name,
                status=status,
                sampled="false",
                older_than=_RECONCILE_AGE,
                limit=_RECONCILE_LIMIT,
            )
        ]
        for queue, rows in ((PROCESSING_QUEUE, unprocessed), (FASTMON_QUEUE, unsampled)):
            by_name = {row["filename"]: row for row in rows}
            for filename in self._repeats[queue].due(by_name):
                self._send_again(queue, by_name[filename])

    def _send_again(self, queue: str, row: Mapping[str, Any]) -> None:
        registered_at = str(row["registered_at"])
        self.publish(
            "stf_ready",
            int(row["run_id"]),
            destinations=[queue],
            filename=row["filename"],
            path=row["path"],
            size_bytes=row["size_bytes"],
            checksum=row["checksum"],
            sequence=row["sequence"],
            started_at=registered_at,
            ended_at=registered_at,
        )
        logger.info("file sent again", extra={"file": row["filename"], "queue": queue})
