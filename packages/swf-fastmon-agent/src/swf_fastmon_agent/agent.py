# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples time frames of STF files for fast monitoring."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from swf_common_lib.agent import BaseAgent, Handler
from swf_common_lib.cli import Option
from swf_common_lib.messages import FASTMON_QUEUE, Message
from swf_common_lib.settings import AgentSettings, Environment
from swf_common_lib.stf import StfName

from swf_fastmon_agent import __version__
from swf_fastmon_agent.sampling import SampleError, TimeFrame, sample

logger = logging.getLogger(__name__)


class FastMonAgent(BaseAgent):
    """Turns `stf_ready` into registered time frames and `tf_file_registered`.

    :param settings: the settings of every agent
    :param tf_per_stf: time frames to sample of each file
    """

    agent_type = "fastmon"
    description = "Samples time frames of STF files."
    version = __version__
    uses_data = True
    queues = (FASTMON_QUEUE,)
    options = (
        Option("--tf-per-stf", "SWF_TF_PER_STF", "time frames sampled of each STF file (2)"),
    )

    def __init__(self, settings: AgentSettings, tf_per_stf: int = 2) -> None:
        super().__init__(settings)
        self._tf_per_stf = tf_per_stf

    @classmethod
    def from_environment(cls, env: Environment) -> FastMonAgent:
        """Create the agent.

        :raises ConfigurationError: a variable is wrong
        """
        settings = AgentSettings.from_environment(cls.agent_type, env)
        return cls(settings, tf_per_stf=env.integer("SWF_TF_PER_STF", 2, minimum=1))

    def handlers(self) -> Mapping[str, Handler]:
        """The handler of ready files."""
        return {"stf_ready": self._on_stf_ready}

    def _on_stf_ready(self, message: Message) -> None:
        filename = message["filename"]
        try:
            name = StfName.parse(filename)
            frames = sample(
                name.path(self.settings.data_dir), message["size_bytes"], self._tf_per_stf
            )
        except (SampleError, ValueError) as error:
            # if this agent does not see the data, another one has to read the file
            self.check_data()
            self._record_failure(filename, str(error))
            return
        for frame in frames:
            self._register(message.run_id, name, frame)
        logger.info("file sampled", extra={"file": filename, "time_frames": len(frames)})

    def _register(self, run_id: int, name: StfName, frame: TimeFrame) -> None:
        tf_filename = name.time_frame(frame.index)
        fields = {"stf_filename": str(name), "size_bytes": frame.size_bytes, "offset": frame.offset}
        # First the message, then the registration, which marks the file as sampled: a file without
        # the mark is sent again.
        self.publish("tf_file_registered", run_id, None, tf_filename=tf_filename, **fields)
        self.monitor.register_tf(filename=tf_filename, **fields)

    def _record_failure(self, filename: str, reason: str) -> None:
        row = self.monitor.update_stf(filename, status="failed", reason=reason)
        logger.warning(
            "file not sampled: %s", reason, extra={"file": filename, "status": row["status"]}
        )
