# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat
import tarfile

import pytest

from helpers.run_module import run_module


@pytest.fixture(name="packages")
def packages_of_an_index(tmp_path):
    (tmp_path / "packages/sub").mkdir(parents=True)
    (tmp_path / "packages/a-1.0.whl").write_bytes(os.urandom(1000))
    (tmp_path / "packages/sub/b-1.0.whl").write_bytes(b"b")
    return tmp_path / "packages"


def archived(packages, check=False, backup_dir=None, **options):
    arguments = {
        "path": str(packages),
        "backup_dir": str(backup_dir or packages.parent / "backups"),
        "name": "swf-packages",
    }
    return run_module("directory_archived", dict(arguments, **options), check=check)


def test_everything_is_in_the_archive_that_the_owner_alone_can_read(packages):
    predicted = archived(packages, check=True)
    assert predicted["changed"] and not (packages.parent / "backups").exists()
    answer = archived(packages)
    assert answer["changed"] and answer["archive"] == predicted["archive"] and answer["files"] == 2
    assert stat.S_IMODE(os.stat(answer["archive"]).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(packages.parent / "backups").st_mode) == 0o700
    with tarfile.open(answer["archive"]) as tar:
        assert sorted(tar.getnames()) == ["a-1.0.whl", "sub/b-1.0.whl"]
        assert tar.extractfile("a-1.0.whl").read() == (packages / "a-1.0.whl").read_bytes()
    assert os.listdir(packages.parent / "backups") == [os.path.basename(answer["archive"])]


def test_the_same_content_is_archived_once_and_another_beside_it(packages):
    first = archived(packages)
    assert not archived(packages)["changed"]
    (packages / "a-1.0.whl").write_bytes(b"else")
    second = archived(packages)
    assert (
        second["changed"]
        and second["archive"] != first["archive"]
        and os.path.exists(first["archive"])
    )


def test_nothing_needs_no_archive(packages):
    (packages.parent / "empty").mkdir()
    for name in ("absent", "empty"):
        answer = archived(packages.parent / name)
        assert not answer["failed"]
        assert (answer["changed"], answer["archive"], answer["files"]) == (False, "", 0)
    assert not (packages.parent / "backups").exists()


def test_an_archive_that_would_be_removed_too_is_refused(packages):
    answer = archived(packages, backup_dir=packages / "backups")
    assert answer["failed"] and "would be removed with it" in answer["msg"]


def test_a_place_that_cannot_be_written_is_named(packages):
    (packages.parent / "file").touch()
    answer = archived(packages, backup_dir=packages.parent / "file/backups")
    assert (
        answer["failed"]
        and "was not archived" in answer["msg"]
        and "Nothing was removed" in answer["msg"]
    )
