# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a process has open are seen while others of its files come and go, as connections
of supervisord do."""

from __future__ import annotations

import subprocess
import sys

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.lost_logs import (
    open_files,
)

BUSY = """
import os, sys
log = open(sys.argv[1], "w")
print("open", flush=True)
while True:
    for handle in [os.open(os.devnull, os.O_RDONLY) for _number in range(40)]:
        os.close(handle)
"""


def test_a_log_is_seen_in_every_answer(tmp_path):
    log = str(tmp_path / "log")
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, log], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "open\n"
            answers = [open_files(process.pid) for _number in range(500)]
        finally:
            process.kill()
    assert all(log in answer.values() for answer in answers)


def test_of_a_process_that_is_gone_nothing_is_seen():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert open_files(process.pid) == {}
