# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock, while another process holds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from swf_common_lib.exclusive import LockHeld, exclusive

HOLD = """
import sys, time
from swf_common_lib.exclusive import exclusive
with exclusive(sys.argv[1], 5):
    print("held", flush=True)
    time.sleep(100)
"""


def test_the_holder_is_named_and_its_end_releases_the_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeld, match=rf"process {holder.pid} \(user "), exclusive(path, 0.3):
            pass
        holder.kill()
    with exclusive(path, 5):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
