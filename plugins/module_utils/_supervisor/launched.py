# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that the launcher (roles/_instance/files/launch.py) starts, because they take secrets from
their environment only."""

from __future__ import annotations

import os
import shlex

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigFile,
)

LAUNCHER = "launch.py"


def files_of(command: str) -> dict[str, str]:
    """{variable: file} of the secrets that the launcher sets; {} if a command does not begin with
    it."""
    # the Python of the tools, -I, the launcher, VARIABLE=FILE..., --, the command
    words = shlex.split(command)
    if "--" not in words or os.path.basename(words[2]) != LAUNCHER:
        return {}
    pairs = (word.partition("=") for word in words[3 : words.index("--")])
    return {variable: path for variable, _sign, path in pairs}


def variables(config: str) -> dict[str, list[str]]:
    """{program: the variables that have a secret} of the launched programs in a supervisord.conf.

    :raises ConfigError: the configuration is unusable.
    """
    conf = ConfigFile(config, os.environ)
    found = {
        section.partition(":")[2]: sorted(files_of(conf.raw(section, "command", "")))
        for section in conf.sections("program:")
    }
    return {program: names for program, names in found.items() if names}
