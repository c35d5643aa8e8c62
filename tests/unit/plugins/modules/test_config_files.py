# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import stat

import pytest

from helpers.run_module import run_module

CANARY = "canary-7f3a9b"


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def place(tmp_path, check=False, diff=False, **overrides):
    arguments = {
        "directories": [{"path": str(tmp_path / "etc"), "mode": "0750"}],
        "files": [
            {"dest": str(tmp_path / "etc/app.conf"), "content": "one\n"},
            {"dest": str(tmp_path / "etc/token"), "secret": True, "secret_content": CANARY},
        ],
    }
    return run_module("config_files", dict(arguments, **overrides), check=check, diff=diff)


def test_places_everything_with_its_modes(tmp_path):
    answer = place(tmp_path)
    assert answer["changed"] and [item["action"] for item in answer["files"]] == ["created"] * 3
    assert (tmp_path / "etc/app.conf").read_text() == "one\n"
    assert (
        mode(tmp_path / "etc"),
        mode(tmp_path / "etc/app.conf"),
        mode(tmp_path / "etc/token"),
    ) == (0o750, 0o644, 0o600)


def test_second_run_changes_nothing(tmp_path):
    place(tmp_path)
    before = os.stat(tmp_path / "etc/app.conf").st_ino
    assert not place(tmp_path)["changed"]
    assert os.stat(tmp_path / "etc/app.conf").st_ino == before


def test_check_mode_predicts_and_changes_nothing(tmp_path):
    answer = place(tmp_path, check=True)
    assert answer["changed"] and not (tmp_path / "etc").exists()
    predicted = answer["files"]
    assert place(tmp_path)["files"] == predicted


def test_wrong_mode_is_corrected(tmp_path):
    place(tmp_path)
    os.chmod(tmp_path / "etc/token", 0o644)
    assert place(tmp_path, check=True)["files"] == [
        {"path": str(tmp_path / "etc/token"), "action": "attributes"}
    ]
    assert mode(tmp_path / "etc/token") == 0o644
    assert place(tmp_path)["changed"] and mode(tmp_path / "etc/token") == 0o600


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_secret_is_never_wider_than_asked_for(tmp_path, umask):
    old = os.umask(umask)
    try:
        place(tmp_path)
    finally:
        os.umask(old)
    assert mode(tmp_path / "etc/token") == 0o600 and mode(tmp_path / "etc/app.conf") == 0o644


def test_a_secret_is_in_no_answer(tmp_path):
    text = json.dumps(
        [
            place(tmp_path, diff=True),
            place(
                tmp_path,
                diff=True,
                files=[
                    {
                        "dest": str(tmp_path / "etc/token"),
                        "secret": True,
                        "secret_content": CANARY + "2",
                        "validate": ["/bin/sh", "-c", 'cat "$0"; exit 1', "%s"],
                    }
                ],
            ),
        ]
    )
    assert "is not valid" in text and CANARY not in text


def test_invalid_file_leaves_all_files_as_they_were(tmp_path):
    place(tmp_path)
    answer = place(
        tmp_path,
        files=[
            {"dest": str(tmp_path / "etc/app.conf"), "content": "two\n"},
            {
                "dest": str(tmp_path / "etc/other.conf"),
                "content": "bad\n",
                "validate": ["/bin/grep", "good", "%s"],
            },
        ],
    )
    assert answer["failed"] and "other.conf is not valid" in answer["msg"]
    assert (tmp_path / "etc/app.conf").read_text() == "one\n"
    assert sorted(os.listdir(tmp_path / "etc")) == ["app.conf", "token"]


def test_validation_that_cannot_run_yet_is_skipped_in_check_mode_only(tmp_path):
    files = [
        {
            "dest": str(tmp_path / "etc/app.conf"),
            "content": "x\n",
            "validate": [str(tmp_path / "missing"), "%s"],
        }
    ]
    answer = place(tmp_path, check=True, files=files)
    assert answer["changed"] and "is not validated" in str(answer["warnings"])
    assert "does not exist on this host" in place(tmp_path, files=files)["msg"]


def test_diff_shows_the_text(tmp_path):
    place(tmp_path)
    answer = place(
        tmp_path, diff=True, files=[{"dest": str(tmp_path / "etc/app.conf"), "content": "two\n"}]
    )
    assert [(item["before"], item["after"]) for item in answer["diff"]] == [("one\n", "two\n")]


def test_purge_removes_only_files_of_that_directory(tmp_path):
    place(tmp_path)
    (tmp_path / "etc/sub").mkdir()
    (tmp_path / "etc/sub/keep").touch()
    directories = [{"path": str(tmp_path / "etc"), "mode": "0750", "purge": True}]
    files = [{"dest": str(tmp_path / "etc/app.conf"), "content": "one\n"}]
    answer = place(tmp_path, directories=directories, files=files)
    assert answer["files"] == [{"path": str(tmp_path / "etc/token"), "action": "removed"}]
    assert (tmp_path / "etc/sub/keep").exists() and (tmp_path / "etc/app.conf").exists()


def test_absent_refuses_a_directory(tmp_path):
    place(tmp_path)
    assert "removes only files" in place(tmp_path, absent=[str(tmp_path / "etc")])["msg"]


def test_backup_keeps_the_old_text(tmp_path):
    place(tmp_path)
    answer = place(
        tmp_path,
        files=[{"dest": str(tmp_path / "etc/app.conf"), "content": "two\n", "backup": True}],
    )
    assert open(answer["backups"][0]).read() == "one\n"


def test_a_file_in_the_place_of_a_directory_is_named(tmp_path):
    (tmp_path / "etc").touch()
    assert "must be a directory" in place(tmp_path)["msg"]
