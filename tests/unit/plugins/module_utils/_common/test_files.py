# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are replaced as a whole, in real directories."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import (
    copy_file,
    read,
    replacing,
    settle,
)

COLLECTIONS = Path(__file__).resolve().parents[5] / ".ansible" / "collections"
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.files import replacing
with replacing(sys.argv[2]) as stream:
    stream.write("new")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_is_replaced_with_its_mode(tmp_path):
    path = tmp_path / "file"
    with replacing(path, 0o640) as stream:
        stream.write("new")
        assert not path.exists()
    assert path.read_text() == "new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["file"]


def test_after_an_error_it_is_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as stream:
        stream.write("new")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_a_killed_process_leaves_it_as_it_was_and_nothing_that_is_read_as_one_of_the_files(
    tmp_path,
):
    path = tmp_path / "file"
    path.write_text("old")
    assert (
        subprocess.run(
            [sys.executable, "-c", KILLED, str(COLLECTIONS), str(path)], check=False
        ).returncode
        == -9
    )
    assert path.read_text() == "old" and [
        name for name in os.listdir(tmp_path) if not name.startswith(".")
    ] == ["file"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere/file")
    with replacing(tmp_path / "link") as stream:
        stream.write("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "elsewhere/file").read_text() == "new"


def test_a_copy_has_the_bytes_and_the_mode(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)))
    source.chmod(0o644)
    copy_file(source, tmp_path / "target")
    assert (
        read(tmp_path / "target") == bytes(range(256))
        and stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o644
    )
    with pytest.raises(FileNotFoundError):
        copy_file(tmp_path / "missing", tmp_path / "target")
    assert read(tmp_path / "target") == bytes(range(256)) and sorted(os.listdir(tmp_path)) == [
        "source",
        "target",
    ]


def test_times_to_come_are_settled(tmp_path):
    path, later = tmp_path / "file", time.time() + 7200
    path.write_text("")
    os.utime(path, (1, later))
    settle([path, tmp_path / "gone"])
    assert path.stat().st_mtime <= time.time() and path.stat().st_atime == 1
    before = path.stat().st_ctime_ns
    settle([path])
    assert path.stat().st_ctime_ns == before
