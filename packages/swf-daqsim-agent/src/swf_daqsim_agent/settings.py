# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings and options of the simulator."""

from __future__ import annotations

from dataclasses import dataclass

from swf_common_lib.cli import Option
from swf_common_lib.settings import Environment


@dataclass(frozen=True)
class DaqSimSettings:
    """The amount and rate of the data. `stf_interval` and `run_pause` are in seconds, `stf_size` is
    in bytes."""

    stf_interval: float = 2.0
    stf_size: int = 65536
    stf_per_run: int = 20
    run_count: int = 0
    run_pause: float = 5.0
    max_files: int = 1000

    @classmethod
    def from_environment(cls, env: Environment) -> DaqSimSettings:
        """Read the variables.

        :raises ConfigurationError: one of them is wrong
        """
        return cls(
            stf_interval=env.seconds("SWF_STF_INTERVAL", cls.stf_interval),
            stf_size=env.integer("SWF_STF_SIZE", cls.stf_size, minimum=1),
            stf_per_run=env.integer("SWF_STF_PER_RUN", cls.stf_per_run, minimum=1),
            run_count=env.integer("SWF_RUN_COUNT", cls.run_count),
            run_pause=env.seconds("SWF_RUN_PAUSE", cls.run_pause),
            max_files=env.integer("SWF_MAX_FILES", cls.max_files, minimum=1),
        )


OPTIONS = (
    Option("--stf-interval", "SWF_STF_INTERVAL", "seconds between two STF files (2)"),
    Option("--stf-size", "SWF_STF_SIZE", "bytes of an STF file (65536)"),
    Option("--stf-per-run", "SWF_STF_PER_RUN", "STF files in a run (20)"),
    Option("--run-count", "SWF_RUN_COUNT", "number of runs, 0 for no limit (0)"),
    Option("--run-pause", "SWF_RUN_PAUSE", "seconds between two runs (5)"),
    Option("--max-files", "SWF_MAX_FILES", "pause while there are this many STF files (1000)"),
)
