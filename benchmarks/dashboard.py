#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the monitor's page and its summary with many files and their messages, in SQLite.

It prints the size of the database and, for each page, the minimum, the median and the maximum of 20
response times in seconds. packages/swf-monitor/tests/test_dashboard.py tests the reason why the page
is fast: a fixed number of queries, none of which reads a table that grows.

Needs swf-monitor and swf-common-lib in the environment that runs this script, for example that of a
release.

    ~/.local/share/swf-testbed/current/bin/python benchmarks/dashboard.py [--files 100000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from swf_common_lib.testing import MonitorProgram, wait_until

REPEAT = 20
# The state after a week at the default rate of 1600 files an hour: all files are processed, and each has five messages.
FILL = """
import datetime, uuid
import django
django.setup()
from django.utils import timezone
from swf_monitor.models import ListenerState, Message, Run, StfFile, SystemAgent
FILES, BATCH = %d, 5000
now = timezone.now()
def at(number):
    return now - datetime.timedelta(seconds=2.25 * (FILES - number))
ListenerState.objects.create(pk=1, subscribed=True, detail="subscribed")
SystemAgent.objects.create(instance_name="data-agent@host", agent_type="data", status="OK", last_heartbeat=now)
for start in range(0, FILES, BATCH):
    run = Run.objects.create(status="ended", total_files=BATCH, created_at=at(start), started_at=at(start))
    numbers = range(start, min(start + BATCH, FILES))
    StfFile.objects.bulk_create(StfFile(
        filename="swf.%%06d.%%06d.stf" %% (run.pk, number), run=run, path="/data/swf.stf", size_bytes=65536,
        checksum="sha256:" + "0" * 64, sequence=number, status="processed", registered_at=at(number),
        updated_at=at(number), sampled_at=at(number)) for number in numbers)
    Message.objects.bulk_create(Message(
        message_id=uuid.uuid4(), msg_type=kind, sender="daqsim-agent@host", filename="swf.%%06d.%%06d.stf" %% (run.pk, number),
        received_at=at(number), body={"filename": "swf.stf", "checksum": "0" * 64}) for number in numbers
        for kind in ("stf_gen", "stf_ready", "stf_ready", "processing_complete", "tf_file_registered"))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100_000)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory(prefix="swf-dashboard-") as name:
        monitor = MonitorProgram(Path(name))
        monitor.start()
        try:
            # it listens before it creates its tables
            wait_until(lambda: "serving" in monitor.output)
            environment = {
                **os.environ,
                **monitor.server_env,
                "DJANGO_SETTINGS_MODULE": "swf_monitor.settings",
            }
            subprocess.run([sys.executable, "-c", FILL % files], env=environment, check=True)
            database = sum(path.stat().st_size for path in Path(name, "monitor").iterdir()) / 1e6
            print(f"{files} files, {files * 5} messages, database {database:.0f} MB")
            for address in ("/", "/api/summary/"):
                seconds = sorted(_answer(monitor.url + address) for _number in range(REPEAT))
                print(
                    f"{address}: {seconds[0]:.3f} {statistics.median(seconds):.3f} {seconds[-1]:.3f} s"
                )
        finally:
            monitor.stop()


def _answer(address: str) -> float:
    began = time.monotonic()
    with urllib.request.urlopen(address, timeout=60) as reply:
        reply.read()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
