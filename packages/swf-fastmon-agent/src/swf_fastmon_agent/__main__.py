# SPDX-License-Identifier: GPL-3.0-or-later
"""The command swf-fastmon-agent."""

import sys

from swf_common_lib.cli import run_agent

from swf_fastmon_agent.agent import FastMonAgent


def main() -> int:
    """Run the agent with the arguments of the process; gives the exit code."""
    return run_agent(FastMonAgent)


if __name__ == "__main__":
    sys.exit(main())
