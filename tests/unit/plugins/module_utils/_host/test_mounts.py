# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories on network file systems: types from a list of mounts, and a real file system that
never answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import mounts
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout

COLLECTIONS = Path(__file__).resolve().parents[5] / ".ansible" / "collections"
HOME = "/home/physicist"


def mountinfo(tmp_path, *rows):
    """A list of mounts as the kernel writes it: (place, type, source)."""
    path = tmp_path / "mountinfo_fixture"
    lines = [
        "%d 1 0:%d / %s rw,relatime shared:%d - %s %s rw\n"
        % (20 + number, 20 + number, place, number, type_, source)
        for number, (place, type_, source) in enumerate([("/", "ext4", "/dev/vda1"), *rows])
    ]
    path.write_text("".join(lines))
    return str(path)


def problems(path, **environment):
    places = layout("swf", "user", {"HOME": HOME, **environment})
    return mounts.mount_problems(places, path)


@pytest.mark.parametrize(
    "type_", ["nfs", "nfs4", "afs", "gpfs", "lustre", "fuse", "fuse.sshfs", "fuse.cvmfs2", "cifs"]
)
def test_state_on_a_network_file_system_is_refused(tmp_path, type_):
    path = mountinfo(tmp_path, ("/home", type_, "server:/export/home"))
    (state, code), answering = problems(path)
    assert answering
    assert state["severity"] == "fatal"
    assert "SQLite, sockets and locks" in state["cause"]
    assert state["evidence"] == (
        "/home/physicist/.local/state/swf is on %s (server:/export/home, mounted on /home)" % type_
    )
    assert "export XDG_STATE_HOME=" in state["fix"]
    assert code["severity"] == "warning"
    assert "export XDG_CONFIG_HOME=" in code["fix"]


@pytest.mark.parametrize(
    "type_", ["ext4", "xfs", "overlay", "fuseblk", "fuse.fuse-overlayfs", "tmpfs"]
)
def test_a_local_file_system_is_fine(tmp_path, type_):
    path = mountinfo(tmp_path, ("/home", type_, "/dev/vdb"), ("/net", "nfs4", "server:/"))
    assert problems(path) == ([], True)


def test_state_on_a_local_disk_leaves_a_warning(tmp_path):
    path = mountinfo(tmp_path, ("/home", "nfs4", "server:/home"), ("/local", "xfs", "/dev/vdb"))
    found, answering = problems(path, XDG_STATE_HOME="/local/physicist")
    assert answering
    assert [item["severity"] for item in found] == ["warning"]


def test_the_later_mount_of_a_place_hides_the_earlier(tmp_path):
    nfs, local = ("/home", "nfs4", "server:/home"), ("/home", "tmpfs", "tmpfs")
    assert problems(mountinfo(tmp_path, nfs, local)) == ([], True)
    assert problems(mountinfo(tmp_path, local, nfs))[0]


def test_places_are_compared_by_their_parts(tmp_path):
    assert problems(mountinfo(tmp_path, ("/home/phys", "nfs4", "server:/"))) == ([], True)
    path = mountinfo(tmp_path, ("/with\\040space", "nfs4", "server:/a\\040b"))
    (state, _code), _answering = problems(path, HOME="/with space/x")
    assert "(server:/a b, mounted on /with space)" in state["evidence"]


def test_a_link_is_followed(tmp_path):
    """A home on NFS whose ~/.local/state is a link to a local disk, and the other way round."""
    home, disk = tmp_path / "home", tmp_path / "disk"
    (home / ".local").mkdir(parents=True)
    disk.mkdir()
    (home / ".local/state").symlink_to(disk)
    remote = mountinfo(tmp_path, (str(home), "nfs4", "server:/home"))
    found, _answering = problems(remote, HOME=str(home))
    assert [item["severity"] for item in found] == ["warning"]
    remote = mountinfo(tmp_path, (str(disk), "nfs4", "server:/disk"))
    found, _answering = problems(remote, HOME=str(home))
    assert [item["severity"] for item in found] == ["fatal"]


def test_the_list_of_this_machine_can_be_read():
    found = mounts.mounts()
    assert mounts.mount_of("/proc/self", found).type == "proc"


# --- a file system that never answers

# The kernel waits for the answer to the first request of a FUSE file system. This process has the
# device, and gives none.
HANG = """
import ctypes, json, os, subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import mounts
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import layout
try:
    device = os.open("/dev/fuse", os.O_RDWR)
except OSError as error:
    sys.exit("cannot mount: %s" % error)
libc = ctypes.CDLL(None, use_errno=True)
options = "fd=%d,rootmode=40000,user_id=%d,group_id=%d" % (device, os.getuid(), os.getgid())
place = sys.argv[2]
if libc.mount(b"stopped", place.encode(), b"fuse.stopped", 0, options.encode()):
    sys.exit("cannot mount: " + os.strerror(ctypes.get_errno()))
environment = json.loads(sys.argv[3])
for name, arguments in json.loads(sys.argv[4]).items():
    subprocess.run(
        [sys.executable, "-m", "ansible_collections.bnlnpps.swf_testbed.plugins.modules." + name],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), text=True, timeout=30, cwd=sys.argv[1],
        env={**os.environ, **environment}, check=False,
    )
    sys.exit(0)
began = time.monotonic()
found, answering = mounts.mount_problems(layout("swf", "user", environment), limit=0.5)
print(json.dumps([found, answering, time.monotonic() - began]), flush=True)
os._exit(0)
"""


@pytest.fixture(name="look")
def look_at_a_file_system_that_hangs(tmp_path):
    """What mount_problems finds, in a mount namespace with such a file system."""
    place = tmp_path / "stopped"
    place.mkdir()

    def look(modules=None, **environment):
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", HANG]
            + [str(COLLECTIONS), str(place), json.dumps({"HOME": str(tmp_path), **environment})]
            + [json.dumps(modules or {})],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        # what else goes wrong is a failure of the check
        if done.stderr.startswith(("unshare: ", "cannot mount: ")):
            pytest.skip("no FUSE in a mount namespace here: %s" % done.stderr.strip())
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    look.place = place
    return look


def test_a_file_system_that_hangs_does_not_block(look):
    (problem,), answering, took = look(XDG_STATE_HOME=str(look.place))
    assert not answering
    assert problem["severity"] == "fatal"
    assert "does not answer" in problem["cause"]
    assert "is on fuse.stopped (stopped, mounted on %s)" % look.place in problem["evidence"]
    assert "did not answer within 0.5 s" in problem["evidence"]
    # three directories are on it
    assert took < 5


def test_a_link_to_it_does_not_block_either(look, tmp_path):
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/state").symlink_to(look.place)
    (problem,), answering, took = look()
    assert not answering
    assert "/.local/state/swf" in problem["evidence"]
    assert took < 5


def test_others_on_it_do_not_matter(look):
    found, answering, took = look()
    assert (found, answering) == ([], True)
    assert took < 2


@pytest.mark.nightly
@pytest.mark.parametrize(
    "module",
    [
        {"preflight": {"instance": "swf", "checks": False}},
        {"testbed_info": {"instances": ["swf"]}},
        {"instance": {"state": "absent", "instance": "swf"}},
    ],
    ids=lambda module: next(iter(module)),
)
def test_no_module_that_comes_first_hangs(look, module):
    """The programs may be on a network file system."""
    answer = look(module, XDG_DATA_HOME=str(look.place))
    assert answer["failed"]
    assert "the file system of a directory of the testbed does not answer" in answer["msg"]
    assert "export XDG_DATA_HOME=" in answer["msg"]


@pytest.mark.skipif(
    not shutil.which("bindfs") or os.geteuid() != 0, reason="needs bindfs, and root to mount"
)
def test_a_real_fuse_file_system(tmp_path):
    home, source = tmp_path / "home", tmp_path / "source"
    home.mkdir()
    source.mkdir()
    script = (
        f"bindfs {source} {home} && {sys.executable} -c 'import sys, json; sys.path.insert(0, sys.argv[1])\n"
        "from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import mounts\n"
        "from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import "
        "layout\n"
        'print(json.dumps(mounts.mount_problems(layout("swf", "user", {"HOME": sys.argv[2]}))))\' '
        f"{COLLECTIONS} {home}; umount {home}"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    found, answering = json.loads(done.stdout)
    assert answering
    assert [item["severity"] for item in found] == ["fatal", "warning"]
