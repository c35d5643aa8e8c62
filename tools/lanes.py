# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the steps of make test in three lanes, and says what each took.

A step that ends shows all of its output; the logs are in .cache/test, too. At the end there is a
table: wall time, CPU time of the processes of this machine (not of the hosts of Molecule's
scenarios, which are in the last line: it has all CPU time of the machine), and the steps of each
scenario.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / ".cache/test"
LANES = 3
# those that need hosts, and long ones, come early; the ports of default are the machine's
STEPS = {
    "lint": ["tools/test", "lint"],
    "lab": ["tools/test", "molecule", "lab"],
    "unit": ["tools/test", "unit"],
    "default": ["tools/test", "molecule", "default"],
    "packages": ["tools/test", "packages"],
    "coverage_of_controller": ["tools/test", "coverage_of_controller"],
}
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
SUMMARY = re.compile(r"\d+ (passed|failed|errors?)\b")
# what Molecule prints when it begins with a step of a scenario
ACTION = re.compile(r"\u279c (\w+): Executing$")


class Step:
    """One step: a process group with a log."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name, self.command = name, command
        self.log = LOGS / (name + ".log")
        self.seconds = self.cpu = 0.0
        self.status: int | None = None
        self.actions: list[tuple[str, float]] = []  # (name, when it began)
        self.process: subprocess.Popen[str] | None = None

    def run(self, environment: dict[str, str]) -> None:
        self.log.write_text("")
        began = time.monotonic()
        self.process = process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        with self.log.open("w", encoding="utf-8") as log:
            for line in process.stdout or ():
                log.write(line)
                found = ACTION.search(COLOURS.sub("", line).rstrip())
                if found:
                    self.actions.append((found.group(1), time.monotonic()))
        _pid, status, usage = os.wait4(process.pid, 0)
        self.status = process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds, self.cpu = time.monotonic() - began, usage.ru_utime + usage.ru_stime
        self.actions.append(("", time.monotonic()))

    def show(self) -> None:
        print("\n==> %s %s" % (self.name, "-" * 70), self.log.read_text(errors="replace"), sep="\n")

    def summary(self) -> str:
        """The last line of pytest about its tests."""
        lines = COLOURS.sub("", self.log.read_text(errors="replace")).splitlines()
        return next((line for line in reversed(lines) if SUMMARY.match(line)), "")

    def row(self) -> str:
        return "%-22s %-8s %6.0f s %6.0f s   %s" % (
            self.name,
            "passed" if self.status == 0 else "FAILED",
            self.seconds,
            self.cpu,
            ", ".join(
                "%s %.0f s" % (name, after - begun)
                for (name, begun), (_next, after) in zip(self.actions, self.actions[1:])
            ),
        )


def run_all(steps: list[Step], lanes: int = LANES) -> None:
    """Run steps in lanes, the next one when a lane is free."""
    waiting, lock = list(steps), threading.Lock()
    environment = dict(os.environ)

    def lane() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                step = waiting.pop(0)
                print("==> %s: begins" % step.name, flush=True)
            step.run(environment)
            with lock:
                step.show()
                sys.stdout.flush()

    threads = [threading.Thread(target=lane, daemon=True) for _lane in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def stop(steps: list[Step]) -> None:
    for step in steps:
        if step.process is not None and step.process.returncode is None:
            os.killpg(step.process.pid, signal.SIGTERM)


def machine() -> list[float]:
    """(CPU seconds of the machine that were used, those that there were)."""
    values = [int(text) for text in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    used = sum(values) - values[3] - values[4]
    return [number / os.sysconf("SC_CLK_TCK") for number in (used, sum(values))]


def main(names: list[str]) -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    steps = [Step(name, STEPS[name]) for name in names or STEPS]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began, before = time.monotonic(), machine()
    try:
        run_all(steps)
    except KeyboardInterrupt:
        stop(steps)
        return 130
    used, there = (after - former for after, former in zip(machine(), before))
    print("\n==> step                  result     wall      CPU   steps of the scenario")
    for step in steps:
        print(step.row())
    print(
        "all %d s; the machine used %d s of its CPUs, %d %% of what there is"
        % (time.monotonic() - began, used, 100 * used / max(there, 0.01))
    )
    failed = [step.name for step in steps if step.status != 0]
    print("FAILED: %s" % ", ".join(failed) if failed else "all steps passed")
    # a reader of the output finds the summary of a test runner in its last line
    for step in steps:
        if step.name == "unit":
            print(step.summary(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
