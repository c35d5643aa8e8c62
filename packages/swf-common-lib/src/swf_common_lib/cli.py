# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of an agent: options that override environment variables."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from swf_common_lib.settings import EXIT_CONFIGURATION, ConfigurationError, Environment

if TYPE_CHECKING:
    from swf_common_lib.agent import BaseAgent


class Option(NamedTuple):
    """A command line option and the variable it overrides."""

    flag: str
    variable: str
    help: str


# No option for a secret: every user of the host can read the command line of a process.
_COMMON = (
    Option("--broker-host", "ACTIVEMQ_HOST", "host of the STOMP broker (127.0.0.1)"),
    Option("--broker-port", "ACTIVEMQ_PORT", "port of the STOMP broker (61613)"),
    Option("--monitor-url", "SWF_MONITOR_URL", "base URL of the monitor (http://127.0.0.1:8002)"),
    Option("--namespace", "SWF_NAMESPACE", "namespace of the testbed (<login>_<hostname>)"),
    Option("--data-dir", "SWF_DATA_DIR", "directory of the STF files (./data)"),
    Option("--name", "SWF_AGENT_NAME", "name of this agent (<type>@<instance>.<login>.<hostname>)"),
    Option("--log-level", "SWF_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR (INFO)"),
)


def run_agent(agent_class: type[BaseAgent], argv: Sequence[str] | None = None) -> int:
    """Run an agent from the command line.

    :param argv: arguments; those of the process by default
    :returns: exit code: 0, or 2 with one line on stderr if a setting is wrong
    """
    program = f"swf-{agent_class.agent_type}-agent"
    parser = argparse.ArgumentParser(
        prog=program,
        description=agent_class.description,
        epilog="Each option overrides the environment variable in brackets. Secrets are variables "
        "only: SWF_API_TOKEN, ACTIVEMQ_PASSWORD, or the path of a file in <NAME>_FILE.",
    )
    parser.add_argument("--version", action="version", version=f"{program} {agent_class.version}")
    for option in (*agent_class.options, *_COMMON):
        parser.add_argument(
            option.flag,
            dest=option.variable,
            metavar="VALUE",
            help=f"{option.help} [{option.variable}]",
        )
    given = {
        name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None
    }
    try:
        agent = agent_class.from_environment(Environment({**os.environ, **given}))
    except ConfigurationError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    return agent.run()
