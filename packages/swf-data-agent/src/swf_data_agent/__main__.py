# SPDX-License-Identifier: GPL-3.0-or-later
"""The command swf-data-agent."""

import sys

from swf_common_lib.cli import run_agent

from swf_data_agent.agent import DataAgent


def main() -> int:
    """Run the agent with the arguments of the process; gives the exit code."""
    return run_agent(DataAgent)


if __name__ == "__main__":
    sys.exit(main())
