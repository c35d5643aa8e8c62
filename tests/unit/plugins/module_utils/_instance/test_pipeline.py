# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent is found by its name: of this version, or of one whose names had no instance and login."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from typing import Any

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.pipeline import (
    Agent,
    on_this_host,
)

HOST = socket.gethostname()
LOGIN = pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize(
    "environment,name",
    [
        ({"SWF_INSTANCE": "swf-a"}, "data@swf-a.%s.%s" % (LOGIN, HOST)),
        ({}, "data@" + HOST),
        ({"SWF_AGENT_NAME": "mine"}, "mine"),
    ],
)
def test_the_names_of_an_agent(environment: dict[str, str], name: str) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(["cat"], env=environment, **pipes) as process:
        assert process.stdin and process.stdout
        # when it answers, it has its environment
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        agent = Agent("data-agent", process.pid)
        process.kill()
    others = [{"instance_name": other, "pid": 1} for other in ("data@elsewhere", "fastmon@" + HOST)]
    summary: dict[str, Any] = {"agents": [*others, {"instance_name": name, "pid": process.pid}]}
    found = agent.entry(summary)
    assert found and found["instance_name"] == name


def test_the_host_is_the_end_of_a_name() -> None:
    assert on_this_host("data@" + HOST) and on_this_host("data@swf-a.me." + HOST)
    assert not on_this_host("data@swf-a.me.x" + HOST) and not on_this_host("data@elsewhere")
