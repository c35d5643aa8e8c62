# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of a directory that is removed afterwards."""

from __future__ import annotations

import os
import stat
import tarfile

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.modules import directory_archive
from helpers.run_module import run_module


@pytest.fixture(name="packages")
def packages_of_an_index(tmp_path):
    (tmp_path / "packages/sub").mkdir(parents=True)
    (tmp_path / "packages/a-1.0.whl").write_bytes(os.urandom(1000))
    (tmp_path / "packages/sub/b-1.0.whl").write_bytes(b"b")
    os.link(tmp_path / "packages/a-1.0.whl", tmp_path / "packages/same-1.0.whl")
    (tmp_path / "packages/link").symlink_to("/etc/passwd")
    return tmp_path / "packages"


def archived(packages, check=False, backup_dir=None):
    options = {
        "path": str(packages),
        "backup_dir": str(backup_dir or packages.parent / "back ups"),
        "name": "swf-packages",
    }
    return run_module("directory_archive", options, check=check)


def test_all_files_are_in_one_archive_that_only_its_owner_can_read(packages):
    backups = packages.parent / "back ups"
    predicted = archived(packages, check=True)
    assert predicted["changed"] and not backups.exists()
    answer = archived(packages)
    assert answer["changed"] and answer["archive"] == predicted["archive"] and answer["files"] == 3
    assert stat.S_IMODE(os.stat(answer["archive"]).st_mode) == 0o600
    assert stat.S_IMODE(backups.stat().st_mode) == 0o700
    with tarfile.open(answer["archive"]) as tar:
        assert sorted(tar.getnames()) == ["./a-1.0.whl", "./same-1.0.whl", "./sub/b-1.0.whl"]
        contents = [tar.extractfile("./" + name).read() for name in ("a-1.0.whl", "same-1.0.whl")]
    assert contents == [(packages / "a-1.0.whl").read_bytes()] * 2
    assert os.listdir(backups) == [os.path.basename(answer["archive"])]


def test_the_same_content_is_archived_once_and_another_in_addition(packages):
    first = archived(packages)
    assert not archived(packages)["changed"]
    (packages / "a-1.0.whl").write_bytes(b"else")
    second = archived(packages)
    assert second["changed"] and second["archive"] != first["archive"]
    assert os.path.exists(first["archive"])


def test_no_archive_is_made_of_no_files(packages):
    (packages.parent / "empty").mkdir()
    for name in ("absent", "empty"):
        answer = archived(packages.parent / name)
        assert not answer["failed"]
        assert (answer["changed"], answer["archive"], answer["files"]) == (False, "", 0)
    assert not (packages.parent / "back ups").exists()


def test_a_backup_directory_that_would_be_removed_too_is_refused(packages):
    (packages.parent / "link").symlink_to(packages / "sub")
    for folder in (packages / "backups", packages.parent / "link/backups"):
        answer = archived(packages, backup_dir=folder)
        assert answer["failed"] and "would be removed with the archived one" in answer["msg"]
        assert not folder.exists()


def test_a_place_that_cannot_be_written_is_named(packages):
    (packages.parent / "file").touch()
    answer = archived(packages, backup_dir=packages.parent / "file/backups")
    assert answer["failed"] and "nothing was removed. Evidence: " in answer["msg"]
    assert "file/backups" in answer["msg"]


def test_an_archive_of_files_that_change_meanwhile_is_discarded(packages):
    files = directory_archive.contents(str(packages))
    (packages / "a-1.0.whl").write_bytes(b"else")
    archive = packages.parent / "back ups/one.tar.gz"
    with pytest.raises(OSError, match="changed meanwhile"):
        directory_archive.create(str(archive), str(packages), files)
    assert os.listdir(archive.parent) == []
