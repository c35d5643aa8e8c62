# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks, with other processes, and with one of another user: who can hold them, and what is said of
who does."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import (
    InstallError,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import (
    LockHeld,
    exclusive,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import lock_file
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    exclusive_lock,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils import _lab_ca, _release_board
from ansible_collections.bnlnpps.swf_testbed.plugins.plugin_utils._certificates import (
    CertificateError,
)

COLLECTIONS = Path(__file__).resolve().parents[5] / ".ansible" / "collections"
HOLD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._common.exclusive import exclusive
with exclusive(sys.argv[2], 5):
    print("held", flush=True)
    time.sleep(100)
"""
# what any user may do with a file that it may read
HOLD_BY_READING = """
import fcntl, sys, time
fcntl.flock(open(sys.argv[2]), fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(100)
"""
NOBODY = 65534


@contextlib.contextmanager
def process(code, path, **options):
    """A process that has the lock and hangs."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(COLLECTIONS), str(path), "canary-secret"],
        stdout=subprocess.PIPE,
        text=True,
        **options,
    ) as running:
        try:
            assert running.stdout.readline() == "held\n"
            yield running
        finally:
            running.kill()


def run_as_nobody(code, path):
    interpreter = "/usr/bin/python3"
    return subprocess.run(
        [interpreter, "-c", code, str(COLLECTIONS), str(path)],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd="/",
    )


@pytest.fixture(name="place")
def place_that_all_may_enter(tmp_path):
    """As /opt/swf-testbed is."""
    for path in [tmp_path, *tmp_path.parents]:
        if path.stat().st_uid == os.geteuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    return tmp_path


def test_the_message_names_the_process_and_not_its_arguments(tmp_path):
    with process(HOLD, tmp_path / "lock") as holder:
        began = time.monotonic()
        with pytest.raises(LockHeld) as error, exclusive(str(tmp_path / "lock"), 1):
            pass
        assert time.monotonic() - began < 5
    text = str(error.value)
    assert (
        "process %d (user " % holder.pid in text
        and os.path.basename(sys.executable) in text
        and "kill it" in text
    )
    assert "canary" not in text and "-c" not in text
    # the process is gone, and its lock with it
    with exclusive(str(tmp_path / "lock"), 1):
        pass


def test_a_child_that_outlives_its_parent_is_the_one_that_is_named(tmp_path):
    code = HOLD.replace(
        "print(",
        "import os\n    os.set_inheritable(3, True)\n    os.fork() and os._exit(0)\n    print(",
    )
    command = [sys.executable, "-c", code, str(COLLECTIONS), str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        first.wait(10)
        with pytest.raises(LockHeld) as error, exclusive(str(tmp_path / "lock"), 0.3):
            pass
        named = int(str(error.value).split()[1])
        assert named != first.pid
        os.kill(named, 9)


@pytest.mark.parametrize(
    "take",
    [
        lambda place: exclusive_lock(str(place)),
        lambda place: lock_file.turn(str(place / ".lock")),
        lambda place: _release_board.Board(str(place)).turn(str(place / "archive")),
    ],
    ids=["releases of a host", "a lock of packages", "archives of a run"],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_no_other_user_can_hold_a_lock(place, take):
    with take(place):
        pass
    found = list(place.rglob("*.lock"))
    assert found
    for path in found:
        assert path.stat().st_mode & 0o777 == 0o600
        assert "PermissionError" in run_as_nobody(HOLD_BY_READING, path).stderr
        # nor put another file there
        assert (
            "PermissionError"
            in run_as_nobody("import os, sys\nos.unlink(sys.argv[2])", path).stderr
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_lock_of_an_earlier_version_that_another_user_holds_is_not_waited_for(place):
    (place / ".lock").write_text("process 1")
    (place / ".lock").chmod(0o644)
    options = {
        "user": NOBODY,
        "group": NOBODY,
        "extra_groups": [],
        "cwd": "/",
        "executable": "/usr/bin/python3",
    }
    with process(HOLD_BY_READING, place / ".lock", **options):
        began = time.monotonic()
        with exclusive_lock(str(place), patience=20):
            assert time.monotonic() - began < 5


def test_what_is_no_file_of_ours_is_not_followed(tmp_path):
    (tmp_path / "target").write_text("kept")
    (tmp_path / "lock").symlink_to("target")
    with pytest.raises(OSError), exclusive(str(tmp_path / "lock"), 1):
        pass
    assert (tmp_path / "target").read_text() == "kept"


def test_one_at_a_time_also_when_its_holder_removes_the_file(tmp_path):
    inside, most = [], []

    def work():
        for _number in range(20):
            with exclusive(str(tmp_path / "lock"), 60):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.002)
                inside.pop()
                # before it is released: whoever waits for it sees that it is not the file of that
                # path any more
                os.unlink(tmp_path / "lock")

    threads = [threading.Thread(target=work) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 80 and max(most) == 1


def test_each_kind_of_lock_gives_up_on_a_holder_that_hangs(tmp_path, monkeypatch):
    for module in (lock_file, _lab_ca, _release_board):
        monkeypatch.setattr(module, "PATIENCE", 0.3)
    (tmp_path / "secrets").mkdir()
    with (
        process(HOLD, tmp_path / ".lock") as first,
        process(HOLD, tmp_path / "secrets/.lab-ca.lock") as second,
    ):
        with (
            pytest.raises(InstallError, match="process %d " % first.pid),
            exclusive_lock(str(tmp_path), patience=0.3),
        ):
            pass
        with (
            pytest.raises(lock_file.LockError, match="process %d " % first.pid),
            lock_file.turn(str(tmp_path / ".lock")),
        ):
            pass
        with pytest.raises(CertificateError, match="process %d " % second.pid):
            _lab_ca.LabCa(str(tmp_path)).issued("index", ["127.0.0.1"], 397, 90)
        board = _release_board.Board(str(tmp_path))
        with (
            pytest.raises(AnsibleActionFail, match="process %d " % first.pid),
            board.turn(str(tmp_path) + "/"),
        ):
            pass
