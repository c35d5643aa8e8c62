# Copyright: Contributors to the bnlnpps.swf_testbed collection
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file ``.env`` in the home of the runtime user: some programs read it at their start, and its
values replace those of their environment. A test could so talk to another broker or monitor."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.findings import (
    WARNING,
    Finding,
    finding,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.processes import (
    environ_of,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    environment_of_login,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.state import State
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._supervisor.conf_file import (
    ConfigError,
    ConfigFile,
    key_value_pairs,
)

FILE = ".env"
# the value of reads_env_file for a program that no variable prevents from reading it
ALWAYS = "always"


def env_files(state: State, components: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Findings for files that programs of an instance would read.

    :param components: ``name`` of the programs of the stack, and ``reads_env_file`` as in a stack
        file.
    """
    reads = {item["name"]: item.get("reads_env_file") for item in components}
    readers: dict[str, dict[str, str]] = {}
    for process in state.processes:
        prevents = reads.get(process["name"])
        if not prevents:
            continue
        environment = environment_of(state, process)
        path = os.path.join(environment.get("HOME") or home_of(state), FILE)
        if os.path.isfile(path) and (prevents == ALWAYS or not environment.get(prevents)):
            readers.setdefault(path, {})[process["full_name"]] = prevents
    return [
        finding(
            "environment",
            "programs read %s, whose values replace those of the testbed" % path,
            "the file exists; its readers are %s" % ", ".join(programs),
            "Move the file away" + other_fix(set(programs.values())),
            WARNING,
        )
        for path, programs in readers.items()
    ]


def other_fix(prevents: set[str]) -> str:
    """The rest of the fix, if variables prevent all programs from reading the file."""
    if ALWAYS in prevents:
        return ""
    pairs = ", ".join('%s: "true"' % name for name in sorted(prevents))
    return ", or add {%s} to swf_testbed_environment" % pairs


def environment_of(state: State, process: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a program: of its process, or of the configuration."""
    running = environ_of(process["pid"]) if process["pid"] else None
    if running is not None:
        return running
    try:
        conf = ConfigFile(state.places["supervisord_conf"], os.environ)
        pairs = [
            key_value_pairs(conf.get(section, "environment", "") or "")
            for section in ("supervisord", "program:" + process["name"])
        ]
    except ConfigError:
        return {}
    return {**pairs[0], **pairs[1]}


def home_of(state: State) -> str:
    """The home of the runtime user: of the login, or of the owner of the directory of the state."""
    if state.places["scope"] == "user":
        return environment_of_login()["HOME"]
    try:
        return pwd.getpwuid(os.stat(state.places["state_dir"]).st_uid).pw_dir
    except (KeyError, OSError):
        return os.path.expanduser("~")
