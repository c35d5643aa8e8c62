# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that cannot be written, on real file systems in a mount namespace of their own."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import writes

COLLECTIONS = Path(__file__).resolve().parents[5] / ".ansible" / "collections"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
LOOK = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import places as host_places, writes as host_writes
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout
places = layout("swf", "user", {"HOME": sys.argv[2]})
flag = bool(os.statvfs(sys.argv[2]).f_flag & os.ST_RDONLY)
print(json.dumps([flag, host_places.place_problems(places), host_writes.instance_problems(places)]))
"""


@pytest.fixture(name="short")
def short_path():
    """pytest's own directories are too long for a socket, and closed to others."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        os.chmod(path, 0o711)
        yield Path(path)


def inside(tmp_path, commands, after=""):
    """(whether statvfs tells read-only, findings of preflight and doctor, of status) with a home
    that commands mount."""
    home = tmp_path / "home"
    home.mkdir()
    look = [sys.executable, "-c", LOOK, str(COLLECTIONS), str(home)]
    script = 'set -e; home=$1; shift; %s; "$@"; %s' % (commands, after or ":")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(home), *look],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
    )
    if ("unshare" in done.stderr or "mount:" in done.stderr) and "CI" not in os.environ:
        pytest.skip("nothing can be mounted here: " + done.stderr)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


DIRECTORIES = (
    'for d in .config/swf .local/share/swf .local/state/swf/log; do mkdir -p "$home/$d"; done'
)


@root_only
def test_well(short):
    assert inside(short, "mount -t tmpfs none $home; " + DIRECTORIES)[1:] == [[], []]


@root_only
@pytest.mark.parametrize("installed", [True, False])
def test_mounted_read_only(short, installed):
    flag, found, status = inside(
        short,
        "mount -t tmpfs none $home; %s; mount -o remount,ro $home"
        % (DIRECTORIES if installed else ":"),
    )
    assert flag and len(found) == (1 if installed else 3) and len(status) == installed
    assert (
        found[0]["check"] == "place"
        and "is read-only: writing there fails with Read-only file system" in found[0]["evidence"]
    )
    assert "after a disk error" not in found[0]["evidence"]


@root_only
@pytest.mark.skipif(
    not shutil.which("mkfs.ext4") and not os.environ.get("CI"), reason="there is no mkfs.ext4"
)
def test_an_ext4_that_became_read_only_after_an_error(short):
    """A real one, whose kernel is told of an error. By newer kernels it is still mounted
    read-write."""
    mounted = (
        "truncate -s 8M image; mkfs.ext4 -q image; mount -o loop,errors=remount-ro image $home; "
        + DIRECTORIES
    )
    error = "echo 1 > /sys/fs/ext4/$(basename $(findmnt -no SOURCE $home))/trigger_fs_error"
    _flag, found, status = inside(short, "%s; %s" % (mounted, error), "umount $home")
    assert len(found) == len(status) == 1 and found[0]["check"] == "place", found
    assert (
        "writing there fails with Read-only file system" in found[0]["evidence"]
        and "fsck" in found[0]["fix"]
    )


@root_only
def test_a_full_disk_is_not_taken_for_read_only(short):
    _flag, found, status = inside(
        short,
        "mount -t tmpfs -o size=1m none $home; %s; cat /dev/zero > $home/x 2>/dev/null || :"
        % (DIRECTORIES),
    )
    assert len(found) == len(status) == 1
    assert (found[0]["check"], found[0]["cause"]) == ("disk", "the disk is full")
    assert "No space left on device; 0 MB are free at" in found[0]["evidence"]


@root_only
def test_only_one_directory_is_a_mount_of_its_own(short):
    """The data on another disk, which is the one that fails; the issue names the whole host."""
    _flag, found, _status = inside(
        short,
        DIRECTORIES + "; mkdir $home/.local/state/swf/data; mount -t tmpfs -o ro none "
        "$home/.local/state/swf/data",
    )
    assert [item["cause"] for item in found] == [
        "cannot write %s/home/.local/state/swf/data" % short
    ]


@root_only
def test_as_the_user_that_writes_there(short):
    """Root may write everywhere; the programs are another user's."""
    folder = short / "closed"
    folder.mkdir(mode=0o500)
    os.chown(folder, 65534, 65534)
    assert writes.write_error(str(folder)) is None
    assert writes.write_error(str(folder), 65534).errno == errno.EACCES
    assert (os.geteuid(), os.getegid()) == (0, 0)
    folder.chmod(0o700)
    assert writes.write_error(str(folder), 65534) is None
    assert list(folder.iterdir()) == []


def test_no_file_is_left_also_where_it_needs_a_name(tmp_path, monkeypatch):
    before = tmp_path.stat().st_mtime_ns
    assert writes.write_error(str(tmp_path)) is None and tmp_path.stat().st_mtime_ns == before
    monkeypatch.setattr(writes.os, "O_TMPFILE", os.O_DIRECTORY | os.O_EXCL)
    assert writes.write_error(str(tmp_path)) is None and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "cause"),
    [(errno.EDQUOT, "the quota of"), (errno.EIO, "cannot write"), (errno.EPERM, "cannot write")],
)
def test_stand_in_errors_that_not_every_machine_can_produce(tmp_path, number, cause):
    found = writes.problem(str(tmp_path), OSError(number, os.strerror(number)))
    assert (
        found["cause"].startswith(cause)
        and os.strerror(number) in found["evidence"]
        and found["fix"]
    )
