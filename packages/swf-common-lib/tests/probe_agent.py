# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent for the tests: the file name in a `stf_ready` determines its action."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

from swf_common_lib.agent import BaseAgent, FatalError, Handler
from swf_common_lib.cli import run_agent
from swf_common_lib.messages import PROCESSING_QUEUE, Message


class ProbeAgent(BaseAgent):
    agent_type = "probe"
    description = "Probes."
    version = "0"
    queues = (PROCESSING_QUEUE,)
    uses_data = "PROBE_USES_DATA" in os.environ
    faults = 0

    def handlers(self) -> Mapping[str, Handler]:
        return {"stf_ready": self._on_stf_ready}

    def work(self) -> None:
        if self.settings.data_dir.name == "fatal":
            raise FatalError("the port is taken")
        if self.settings.data_dir.name == "fault" and not self.faults:
            self.faults += 1
            raise ZeroDivisionError
        super().work()

    def _on_stf_ready(self, message: Message) -> None:
        filename = message["filename"]
        print("begin", filename, flush=True)
        if filename == "fault":
            raise ZeroDivisionError
        if filename == "read" and not (self.settings.data_dir / filename).exists():
            self.check_data()
        if filename == "unknown":
            self.monitor.update_stf(filename, status="processing")
        if filename.startswith("sleep"):
            time.sleep(float(filename[5:]))
        self.publish(
            "processing_complete",
            message.run_id,
            filename=filename,
            checksum_ok=True,
            processing_seconds=0,
        )
        print("end", filename, flush=True)


if __name__ == "__main__":
    sys.exit(run_agent(ProbeAgent))
