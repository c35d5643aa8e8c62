# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes STF files: reads each one and verifies its checksum."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from swf_common_lib.agent import BaseAgent, Handler
from swf_common_lib.messages import PROCESSING_QUEUE, Message
from swf_common_lib.shutdown import Stopping
from swf_common_lib.stf import StfName, checksum

from swf_processing_agent import __version__

logger = logging.getLogger(__name__)


class ProcessingAgent(BaseAgent):
    """Turns `stf_ready` into a file that is processed or failed, and `processing_complete`."""

    agent_type = "processing"
    description = "Processes STF files and verifies their checksums."
    version = __version__
    uses_data = True
    queues = (PROCESSING_QUEUE,)

    def handlers(self) -> Mapping[str, Handler]:
        """The handler of ready files."""
        return {"stf_ready": self._on_stf_ready}

    def _on_stf_ready(self, message: Message) -> None:
        filename = message["filename"]
        row = self.monitor.update_stf(filename, status="processing")
        if row["status"] in ("processed", "failed"):
            # The monitor does not move a finished file back: this message is a repetition.
            logger.info("file is finished already", extra={"file": filename})
            return
        began = time.monotonic()
        reason = self._verify(filename, message["checksum"], message["size_bytes"])
        seconds = round(time.monotonic() - began, 6)
        status = "failed" if reason else "processed"
        # First the message, then the status: if the agent stops in between, the file is unfinished
        # at the monitor and is sent again.
        self.publish(
            "processing_complete",
            message.run_id,
            filename=filename,
            checksum_ok=not reason,
            processing_seconds=seconds,
        )
        self.monitor.update_stf(filename, status=status, reason=reason, processing_seconds=seconds)
        if reason:
            logger.warning("file failed: %s", reason, extra={"file": filename})
        else:
            logger.info("file processed", extra={"file": filename, "seconds": seconds})

    def _verify(self, filename: str, expected: str, size_bytes: int) -> str:
        """Read the file; return the reason of a failure, or "" if the file is good.

        :raises FatalError: this agent does not see the data, so another one has to read the file
        """
        try:
            path = StfName.parse(filename).path(self.settings.data_dir)
            found, size = checksum(path, between=self._stop_if_due)
        except ValueError as error:
            return str(error)
        except OSError as error:
            self.check_data()
            return f"cannot read the file: {error.strerror}: {error.filename}"
        if size != size_bytes:
            return f"size is {size} bytes, expected {size_bytes}"
        return "" if found == expected else f"checksum is {found}, expected {expected}"

    def _stop_if_due(self) -> None:
        if self.shutdown.grace_left() <= 0:
            raise Stopping
