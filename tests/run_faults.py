# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs real faults against a real testbed of this login, in a home to throw away, and prints what
it came through.

    python tests/run_faults.py [--wheels DIR] [--keep] [FAULT...]

Takes about 50 minutes. Needs the environment of `make setup-test`; as root it also tries a full
disk, and with a C compiler (cc) a clock that is set back: a small library, clock.c, gives another
time to the testbed's processes. Touches nothing but its home in /tmp, and ports that were free; the
clock of the machine is left alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from faults.faults import ORDER, Faults
from faults.testbed import ROOT, Prober, Testbed
from faults.wheels import Versions, build_all

SMALL_DISK = "size=4g"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "faults", nargs="*", metavar="FAULT", help="some of: %s (default: all)" % ", ".join(ORDER)
    )
    parser.add_argument(
        "--wheels",
        type=Path,
        help="directory in which the wheels of packages/ are kept from run to run",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the testbed and its home as they are at the end"
    )
    options = parser.parse_args()
    unknown = set(options.faults) - set(ORDER)
    if unknown:
        parser.error("there is no %s" % ", ".join(sorted(unknown)))
    home = Path(tempfile.mkdtemp(prefix="swf-faults-", dir="/tmp"))
    testbed = Testbed(home)
    print("==> home: %s" % home, flush=True)
    try:
        return run(
            testbed,
            options.wheels or home / "wheels",
            [name for name in ORDER if name in (options.faults or ORDER)],
        )
    finally:
        if not options.keep:
            clear(testbed)


def run(testbed, wheels, names):
    build_all(ROOT / "packages", wheels)
    testbed.packages.mkdir(parents=True)
    testbed.root.mkdir(parents=True)
    if os.geteuid() == 0:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", SMALL_DISK, "swf-faults", str(testbed.root)], check=False
        )
    versions = Versions(wheels, testbed.packages)
    code, output = testbed.play("site.yml")
    if code != 0 or testbed.serves():
        print(output[-3000:])
        return 1
    faults, failed, all_lost, not_run = Faults(testbed, versions), 0, 0, 0
    print(
        "| fault | survived | STF lost | longest time without a process, s | all programs at once, "
        "s | took, s |"
    )
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for name in names:
        fault = getattr(faults, name)
        before, began = testbed.files(), time.monotonic()
        with Prober(testbed) as prober:
            problem = fault()
        lost = testbed.lost(before)
        skipped = (problem or "").startswith("not run")
        failed, all_lost, not_run = (
            failed + (bool(problem or lost) and not skipped),
            all_lost + lost,
            not_run + skipped,
        )
        print(
            "| %s | %s | %d of %d | %s | %.1f | %d |"
            % (
                fault.__doc__.strip(),
                "yes" if problem is None else problem if skipped else "NO: " + problem,
                lost,
                len(testbed.files()),
                prober.worst(),
                prober.longest_all,
                time.monotonic() - began,
            ),
            flush=True,
        )
        if name == "good_upgrade":
            shown = ", ".join("%s %.1f" % pair for pair in sorted(prober.down.items()))
            print("      per program: %s" % shown, flush=True)
    print(
        "%d of %d faults survived, %d not run, %d of %d STF files lost"
        % (len(names) - failed - not_run, len(names), not_run, all_lost, len(testbed.files()))
    )
    return 1 if failed else 0


def clear(testbed):
    testbed.play("stop.yml")
    if os.path.ismount(testbed.root):
        # it could not be removed, and all that is in it goes with it
        subprocess.run(["umount", str(testbed.root)], check=False)
    testbed.play("uninstall.yml", swf_testbed_uninstall_data=True)
    shutil.rmtree(testbed.home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
