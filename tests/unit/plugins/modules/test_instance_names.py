# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module that derives paths from the name of an instance refuses what is none, with the fix
and without a traceback."""

from __future__ import annotations

import pytest

from helpers.run_module import run_module

INSTANCE = {"part": "testbed", "ports": []}
CALLS = {
    "preflight": lambda name: {"instance": name, "checks": False},
    "testbed_info": lambda name: {"instances": ["swf-testbed", name]},
    "host_check": lambda name: {
        "instances": [dict(INSTANCE, name="swf-testbed"), dict(INSTANCE, name=name)]
    },
    "host_check ": lambda name: {"access_instance": name},
    "config_files": lambda name: {"manifest": {"instance": name}},
    "config_files ": lambda name: {"manifest": {"service": name}},
}


@pytest.mark.parametrize("name", ["..", "a/b", "/etc", "-x", "a b"])
@pytest.mark.parametrize("call", CALLS)
def test_it_is_refused(tmp_path, call, name):
    answer = run_module(call.strip(), CALLS[call](name), env={"HOME": str(tmp_path)})
    assert answer["failed"] and "Evidence: " in answer["msg"] and "Fix: " in answer["msg"], answer
    assert list(tmp_path.iterdir()) == []
