# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs that start together where nothing is installed. Mixed into Faults."""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

from faults.testbed import ROOT, Testbed
from faults.wheels import COMPONENTS, UMBRELLA

# seconds by which the second run starts later; with 2 and 3 both placed secrets, or started the
# same daemon, at the same moment
DELAYS = (0, 2, 3)
PATIENCE = 900


class FirstRuns:
    def two_first_runs(self):
        """Two site.yml are started at once where nothing is installed"""
        for delay in DELAYS:
            testbed = empty_testbed()
            try:
                problem = two_runs(testbed, delay)
            finally:
                remove(testbed)
            print("      the second one %d s later: %s" % (delay, problem or "well"), flush=True)
            if problem:
                return "the second one %d s later: %s" % (delay, problem)
        return None


def empty_testbed():
    """A home in which nothing is, and an inventory whose runs publish our packages."""
    testbed = Testbed(Path(tempfile.mkdtemp(prefix="swf-first-", dir="/tmp")))
    testbed.change_inventory(
        {
            "swf_testbed_package_index_sources": [
                str(ROOT / "packages" / name) for name in (*COMPONENTS, UMBRELLA)
            ]
        }
    )
    return testbed


def two_runs(testbed, delay):
    """What is wrong after both, or None: both were successful, and a third one has nothing to
    change."""
    first = testbed.start("site.yml")
    time.sleep(delay)
    runs = [first, testbed.start("site.yml")]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        outputs = list(pool.map(lambda run: run.communicate(timeout=PATIENCE)[0], runs))
    (testbed.home / "plays.log").write_text("\n\n#####\n".join(outputs))
    for run, output in zip(runs, outputs):
        if run.returncode:
            return "a run failed: %s" % why(output)
    problem = testbed.serves()
    if problem:
        return problem
    code, output = testbed.play("site.yml")
    changed = [line for line in output.splitlines() if line.startswith("changed:")]
    return "a third run: exit %d, %s" % (code, changed) if code or changed else None


def why(output):
    """The first error of a run, or the end of what it printed."""
    _before, error, text = output.partition("[ERROR]")
    return " ".join((error + text[:400] if error else output[-400:]).split())


def remove(testbed):
    testbed.play("stop.yml")
    for pid_file in testbed.home.glob(".local/state/*/run/supervisord.pid"):
        # stop.yml is itself part of what is tested
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
    shutil.rmtree(testbed.home)
