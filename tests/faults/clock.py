# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that can be set, for processes that are started with it; that of this machine is never
touched."""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from pathlib import Path

STEP = struct.Struct("=qq")
STEPS = 64


class Clock:
    """
    :param folder: a folder to keep the library and the clock's steps in.
    """

    def __init__(self, folder: Path):
        self.library, self.file = folder / "clock.so", folder / "clock"
        self.steps: list[tuple[int, int]] = []
        self.file.write_bytes(bytes(STEP.size * STEPS))

    @staticmethod
    def has_compiler():
        return shutil.which("cc") is not None

    def build(self):
        source = Path(__file__).with_name("clock.c")
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-o", str(self.library), str(source), "-ldl"],
            check=True,
        )

    def environment(self):
        """What a process has to be started with to live by this clock; its children then do too."""
        return {"LD_PRELOAD": str(self.library), "FAULTS_CLOCK": str(self.file)}

    def set(self, hours):
        """Set the clock so many hours from the real one, negative ones before it."""
        self.steps.append((time.time_ns(), int(hours * 3600e9)))
        with self.file.open("r+b") as stream:
            # in one write, so that nobody sees half a step
            stream.seek(STEP.size * (len(self.steps) - 1))
            stream.write(STEP.pack(*self.steps[-1]))
