# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is built, archived, removed, and unpacked to the same place, as on another host with the
same platform key."""

from __future__ import annotations

import concurrent.futures
import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build.installers import installer
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._index.configuration import (
    normalised,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    archive as archives,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.drift import differences
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release.environments import (
    build,
    manifest,
)
from helpers.index_server import make_wheel, sha256
from helpers.run_module import run_release_build


class Host:
    """A root, wheels to build from, and what the module is asked with."""

    def __init__(self, folder):
        self.folder, self.root, self.wheels = folder, folder / "root", folder / "wheels"
        self.wheels.mkdir(exist_ok=True)
        body = "VALUE = 1\ndef main():\n    print('hello')\n"
        self.lock = "".join(
            "%s==1.0 --hash=sha256:%s\n"
            % (name, sha256(make_wheel(self.wheels, name, "1.0", body=body, script=name)))
            for name in ("swf-one", "swf-two")
        )
        self.tools_lock = self.lock.splitlines()[0] + "\n"
        self.required = {
            "root": str(self.root),
            "version": "1",
            "lock_file": "x",
            "tools_lock_file": "x",
        }

    def module(self, check=False, diff=False, **more):
        arguments = {
            **self.required,
            "lock": self.lock,
            "tools_lock": self.tools_lock,
            "python": sys.executable,
            "import_check": ["swf-one"],
            "indexes": [{"name": "here", "preset": "directory", "url": str(self.wheels)}],
        }
        arguments.update(more)
        return run_release_build(arguments, check=check, diff=diff)

    def receive(self, **more):
        """As on a host that has no index: there is nothing at its address."""
        sent = dict(
            {
                "archive": str(self.archive),
                "archive_sha256": self.sha256,
                "sent_from": "builder",
                "indexes": [{"name": "nowhere", "url": "http://127.0.0.1:9/simple/"}],
            },
            **more,
        )
        return self.module(**sent)

    def pack(self, name="release.tar.gz"):
        """Pack what is there, and take it away."""
        self.archive = self.folder / name
        self.archive.write_bytes(b"")
        found = run_release_build(
            {
                **self.required,
                "step": "export",
                "archive": str(self.archive),
                "paths": {"tools": self.built["tools"], "release": self.built["path"]},
            },
        )
        self.sha256 = found.get("sha256")
        return found


@pytest.fixture(name="host", scope="module")
def a_host(tmp_path_factory):
    host = Host(tmp_path_factory.mktemp("host"))
    host.built = host.module()
    assert host.built["built"] == ["tools", "release"], host.built
    # other modes than an umask of 022 would make
    os.chmod(host.built["path"] + "/bin", 0o775)
    host.whole = host.root.with_name("whole")
    assert not host.pack()["failed"]
    shutil.copytree(host.root, host.whole, symlinks=True)
    return host


@pytest.fixture(name="bare")
def a_host_that_has_nothing(host):
    shutil.rmtree(host.root, ignore_errors=True)
    yield host
    shutil.rmtree(host.root, ignore_errors=True)
    shutil.copytree(host.whole, host.root, symlinks=True)


def content(folder):
    """{path: (kind and mode, time of a module, content or target)} of all that is compared; a cache
    is of who builds."""
    found = {}
    for path in sorted(
        path for path in Path(folder).rglob("*") if path.relative_to(folder).parts[0] != "cache"
    ):
        status = path.lstat()
        inner = (
            os.readlink(path)
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else None
        )
        if path.name not in ("release.json", "lock.txt", ".lock"):
            time = int(status.st_mtime) if path.suffix == ".py" else None
            found[str(path.relative_to(folder))] = (
                stat.filemode(status.st_mode & ~0o022),
                time,
                inner,
            )
    return found


def test_a_release_arrives_as_it_was_built(bare):
    predicted = bare.module(check=True, diff=True)
    assert (
        predicted["changed"]
        and "swf-two==1.0\n" in predicted["diff"]["after"]
        and not bare.root.exists()
    )
    answer = bare.receive()
    assert answer["built"] == ["tools", "release"] and answer["path"] == bare.built["path"], answer
    assert content(bare.root) == content(bare.whole)
    release = Path(answer["path"])
    found, built = (
        manifest(str(release)),
        manifest(str(bare.whole / release.relative_to(bare.root))),
    )
    assert (
        found["sent_from"] == "builder"
        and found["packages"] == built["packages"]
        and found["lock_hash"] == built["lock_hash"]
    )
    assert differences(str(release), found) == []
    assert subprocess.check_output([release / "bin/swf-two"], text=True) == "hello\n"
    assert not stat.S_IMODE((release / "bin").stat().st_mode) & 0o022
    assert not bare.receive()["changed"]


@pytest.mark.nightly
def test_what_pip_made_arrives_too(tmp_path):
    host, path, archive = Host(tmp_path), tmp_path / "releases/1", tmp_path / "release.tar.gz"
    indexes = normalised([{"name": "here", "preset": "directory", "url": str(host.wheels)}])
    build(str(path), host.lock, sys.executable, installer("pip"), indexes)
    archive.write_bytes(b"")
    archives.pack({"release": str(path)}, str(archive))
    shutil.rmtree(path)
    build(
        str(path),
        host.lock,
        sys.executable,
        archives.Received(str(archive), "release", None),
        indexes,
        sent_from="builder",
    )
    assert subprocess.check_output([path / "bin/swf-one"], text=True) == "hello\n"
    assert differences(str(path), manifest(str(path))) == []


def test_bytecode_stays_valid(bare):
    release = Path(bare.receive()["path"])
    module = next(release.glob("lib/python*/site-packages/swf_one/__init__.py"))
    code = next(module.parent.glob("__pycache__/__init__.*.pyc"))
    assert int.from_bytes(code.read_bytes()[8:12], "little") == int(module.stat().st_mtime)
    loaded = subprocess.run(
        [release / "bin/python", "-v", "-c", "import swf_one"],
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert "matches %s" % module in loaded.stderr


def test_the_same_release_makes_the_same_archive(host):
    first, before = host.sha256, host.archive
    again = host.pack("again.tar.gz")
    host.archive = before
    assert (
        again["sha256"] == first == hashlib.sha256(before.read_bytes()).hexdigest()
        and not again["changed"]
    )


def test_a_truncated_archive_is_refused_and_leaves_nothing(bare, tmp_path):
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(bare.archive.read_bytes()[:-5000])
    answer = bare.receive(archive=str(cut))
    assert (
        answer["failed"]
        and "arrived with other content" in answer["msg"]
        and "df -h" in answer["msg"]
    ), answer
    # as if the archive was truncated before its checksum was computed
    answer = bare.receive(archive=str(cut), archive_sha256=sha256(cut))
    assert answer["failed"] and "incomplete or damaged" in answer["msg"], answer
    assert [path for path in bare.root.rglob("*") if path.is_file() and path.name != ".lock"] == []
    assert bare.receive()["built"]


def test_what_was_half_sent_is_replaced(bare):
    release = Path(bare.receive()["path"])
    (release / "release.json").unlink()
    (release / "rubbish").touch()
    assert bare.receive()["built"] == ["release"]
    assert (
        not (release / "rubbish").exists()
        and differences(str(release), manifest(str(release))) == []
    )


def test_a_release_that_does_not_import_here_is_no_release(bare, tmp_path):
    """Stands in for a host that lacks a system library: the archive is of a build that nobody
    tried."""
    other = tmp_path / "other.tar.gz"
    with tarfile.open(bare.archive) as old, tarfile.open(other, "w:gz") as new:
        for info in old:
            stream = old.extractfile(info) if info.isfile() else None
            if info.name.startswith("release/") and info.name.endswith("swf_one/__init__.py"):
                text = b"import no_such_library\n"
                info.size, info.mtime, stream = len(text), 1, io.BytesIO(text)
            new.addfile(info, stream)
    answer = bare.receive(archive=str(other), archive_sha256=sha256(other))
    assert answer["failed"] and "No module named 'no_such_library'" in answer["msg"], answer
    assert not os.path.lexists(bare.built["path"])


def test_two_at_once_take_turns(bare):
    with concurrent.futures.ThreadPoolExecutor(2) as runs:
        answers = [run.result() for run in [runs.submit(bare.receive) for _number in range(2)]]
    assert not any(answer["failed"] for answer in answers), answers
    assert content(bare.root / "releases") == content(bare.whole / "releases")


@pytest.mark.parametrize(
    "name,member_type,link,ends",
    [
        ("release/../../out", tarfile.REGTYPE, "", "outside"),
        ("release//etc/out", tarfile.REGTYPE, "", "outside"),
        ("release/lib/out", tarfile.SYMTYPE, "../../../out", "link that stays"),
        ("release/lib/out", tarfile.SYMTYPE, "/etc/out", "link that stays"),
        ("release/bin/out", tarfile.LNKTYPE, "release/bin/python", "link that stays"),
        ("release/pipe", tarfile.FIFOTYPE, "", "neither a file"),
        ("release/bin/one", tarfile.REGTYPE, "", "damaged"),
    ],
)
def test_what_leaves_the_release_is_refused(tmp_path, name, member_type, link, ends):
    """Members that no pack makes, by an archive of the test's own."""
    archive, path = tmp_path / "bad.tar.gz", tmp_path / "releases/1"
    path.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        label = b'{"release": "%s"}' % str(path).encode()
        tar.addfile(
            archives.member(archives.LABEL, stat.S_IFREG | 0o644, len(label)), io.BytesIO(label)
        )
        for folder in ("release", "release/bin", "release/lib"):
            tar.addfile(archives.member(folder, stat.S_IFDIR | 0o755, 0))
        tar.addfile(archives.member("release/bin/one", stat.S_IFREG | 0o755, 0), io.BytesIO())
        info = tarfile.TarInfo(name)
        info.type, info.linkname = member_type, link
        tar.addfile(info, io.BytesIO() if member_type == tarfile.REGTYPE else None)
    with pytest.raises(archives.ArchiveError, match=ends):
        archives.unpack(str(archive), "release", str(path))
    assert not (tmp_path / "out").exists() and not os.path.lexists(path / "lib/out")


def test_nothing_is_written_through_a_link(tmp_path):
    archive, path, elsewhere = (
        tmp_path / "bad.tar.gz",
        tmp_path / "releases/1",
        tmp_path / "elsewhere",
    )
    path.parent.mkdir()
    elsewhere.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        label = b'{"release": "%s"}' % str(path).encode()
        tar.addfile(
            archives.member(archives.LABEL, stat.S_IFREG | 0o644, len(label)), io.BytesIO(label)
        )
        for folder in ("release", "release/bin"):
            tar.addfile(archives.member(folder, stat.S_IFDIR | 0o755, 0))
        # a link that an environment has: to its Python, wherever that is
        tar.addfile(
            archives.member("release/bin/python", stat.S_IFLNK | 0o777, 0, link=str(elsewhere))
        )
        tar.addfile(
            archives.member("release/bin/python/out", stat.S_IFREG | 0o644, 0), io.BytesIO()
        )
    with pytest.raises(archives.ArchiveError, match="damaged"):
        archives.unpack(str(archive), "release", str(path))
    assert not list(elsewhere.iterdir())


def test_an_archive_for_another_path_is_refused(bare):
    answer = bare.receive(version="2")
    assert answer["failed"] and "needs it at %s/releases/2-" % bare.root in answer["msg"], answer
    assert not list((bare.root / "releases").glob("*"))


def test_a_release_that_was_changed_is_not_sent(host):
    module = next(Path(host.built["path"]).glob("lib/python*/site-packages/swf_one/__init__.py"))
    text = module.read_text()
    module.write_text(text + "# changed\n")
    archive, checksum = host.archive, host.sha256
    answer = host.pack("changed.tar.gz")
    host.archive, host.sha256 = archive, checksum
    shutil.copy2(
        next(host.whole.glob("releases/*/lib/python*/site-packages/swf_one/__init__.py")), module
    )
    assert (
        answer["failed"]
        and "was changed after it was built" in answer["msg"]
        and str(module) in answer["msg"]
    ), answer


def test_what_there_is_not_cannot_be_sent(bare):
    answer = run_release_build(
        {
            **bare.required,
            "step": "export",
            "archive": str(bare.archive),
            "paths": {"release": bare.built["path"]},
        },
    )
    assert (
        answer["failed"]
        and "there is no complete release at %s" % bare.built["path"] in answer["msg"]
    )
    assert sha256(bare.archive) == bare.sha256


def test_a_host_returns_its_platform_key(bare, tmp_path):
    lacking = bare.module(step="look")
    assert not lacking["changed"] and lacking["built"] == ["tools", "release"], lacking
    assert not bare.root.exists()
    bare.receive()
    having = bare.module(step="look")
    assert not having["built"] and having["platform_key"] == lacking["platform_key"]
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    assert (
        bare.module(step="look", python=str(other), root=str(tmp_path))["platform_key"]
        != lacking["platform_key"]
    )
    answer = bare.module(step="look", python="/no/such/python", root=str(tmp_path / "empty"))
    assert answer["failed"] and "no Python called '/no/such/python'" in answer["msg"]
