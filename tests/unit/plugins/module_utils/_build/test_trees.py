# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a commit as an archive, and unpacked in a release."""

from __future__ import annotations

import io
import os
import tarfile

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._build import trees
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import members
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._release import (
    trees as release_trees,
)

AT = 1_700_000_000


@pytest.fixture(name="folder")
def a_checkout(tmp_path):
    folder = tmp_path / "checkout"
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("token")
    (folder / "deep/page.html").write_text("x")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o777)
    (folder / "deep/up").symlink_to("../run")
    (folder / "pages").symlink_to("deep")
    return folder


def test_all_files_but_those_of_git_come_back(folder, tmp_path):
    trees.pack(str(folder), str(tmp_path / "one.tar"), AT)
    os.utime(folder / "run", (1, 1))
    trees.pack(str(folder), str(tmp_path / "two.tar"), AT)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    target = tmp_path / "tree"
    release_trees.unpack(str(tmp_path / "one.tar"), str(target))
    assert sorted(os.listdir(target)) == ["deep", "pages", "run"]
    assert (target / "pages/page.html").read_text() == "x"
    assert os.readlink(target / "deep/up") == "../run"
    assert (target / "run").stat().st_mode & 0o777 == 0o755
    assert (target / "run").stat().st_mtime == AT


@pytest.mark.parametrize("link", ["/etc/passwd", "../../x", "../.git/config"])
def test_a_link_that_leaves_the_repository_is_refused(folder, tmp_path, link):
    (folder / "deep/bad").symlink_to(link)
    with pytest.raises(trees.TreeError, match="deep/bad is neither a file.*it leads to"):
        trees.pack(str(folder), str(tmp_path / "one.tar"), AT)


@pytest.mark.parametrize("name", ["../evil", "deep/../../evil"])
def test_nothing_is_written_outside_of_the_tree(tmp_path, name):
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO(b""))
    with pytest.raises(members.ArchiveError, match="would be outside"):
        release_trees.unpack(str(tmp_path / "evil.tar"), str(tmp_path / "tree"))
    assert not (tmp_path / "evil").exists()


def test_changes_of_links_and_files_are_listed(folder, tmp_path):
    trees.pack(str(folder), str(tmp_path / "one.tar"), AT)
    release = tmp_path / "release"
    (release / "src").mkdir(parents=True)
    release_trees.unpack(str(tmp_path / "one.tar"), str(release / "src/x"))
    release_trees.write_list(str(release))
    rows = {row[0]: row[1:] for row in release_trees.listed(str(release))}
    assert rows["x/deep/up"] == ["link=../run", ""] and rows["x/pages"] == ["link=deep", ""]
    assert rows["x/run"][0].startswith("sha256=") and rows["x/run"][1] == "10"
    assert len(rows) == 4
