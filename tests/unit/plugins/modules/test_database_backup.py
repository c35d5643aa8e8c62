# SPDX-License-Identifier: GPL-3.0-or-later
"""Real databases, SQLite and PostgreSQL; a stand-in for the swf-monitor of the release, which tells
what it would migrate."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from helpers.postgresql_server import (  # pylint: disable=unused-import
    BIN,
    PASSWORD,
    a_postgresql_server,  # noqa: F401
)
from helpers.run_module import run_module


def a_release(folder, migrations):
    binaries = folder / "release/bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    program = binaries / "swf-monitor"
    program.write_text(
        "#!/bin/sh\necho '%s'\n"
        % json.dumps({"changed": bool(migrations), "migrations": migrations})
    )
    program.chmod(0o755)
    return str(folder / "release")


def back_up(folder, migrations, environment, check=False, user="", copies=5):
    shutil.rmtree(folder / "release", ignore_errors=True)
    return run_module(
        "database_backup",
        {
            "release": a_release(folder, migrations),
            "directory": str(folder / "backups"),
            "environment": environment,
            "user": user,
            "keep": copies,
        },
        check=check,
    )


@pytest.fixture(name="sqlite")
def a_sqlite_database(tmp_path):
    folder = tmp_path / "monitor"
    folder.mkdir()
    database = sqlite3.connect(str(folder / "db.sqlite3"))
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE stf (name TEXT)")
    database.execute("INSERT INTO stf VALUES ('in the log that is written ahead')")
    database.commit()
    yield {"SWF_MONITOR_DATA_DIR": str(folder)}
    database.close()


def test_sqlite_is_copied_while_it_is_in_use(tmp_path, sqlite):
    predicted = back_up(tmp_path, ["swf_monitor.0002_x"], sqlite, check=True)
    assert predicted["changed"] and not (tmp_path / "backups").exists()
    answer = back_up(tmp_path, ["swf_monitor.0002_x"], sqlite)
    assert answer["changed"] and answer["migrations"] == ["swf_monitor.0002_x"], answer
    assert stat.S_IMODE(os.stat(answer["path"]).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "backups").st_mode) == 0o700
    with sqlite3.connect(answer["path"]) as copy:
        assert copy.execute("SELECT * FROM stf").fetchall() == [
            ("in the log that is written ahead",)
        ]


def test_nothing_is_copied_where_no_table_changes(tmp_path, sqlite):
    answer = back_up(tmp_path, [], sqlite)
    assert not answer["changed"] and not answer["failed"] and not (tmp_path / "backups").exists()


def test_what_failed_is_named_and_nothing_half_is_left(tmp_path):
    answer = back_up(
        tmp_path, ["swf_monitor.0002_x"], {"SWF_MONITOR_DATA_DIR": str(tmp_path / "nowhere")}
    )
    assert answer["failed"] and "there is no %s/nowhere/db.sqlite3" % tmp_path in answer["msg"], (
        answer
    )
    assert "no program was changed" in answer["msg"] and os.listdir(tmp_path / "backups") == []


def test_few_copies_stay_and_nothing_of_others_goes(tmp_path, sqlite):
    folder = tmp_path / "backups"
    folder.mkdir()
    # of both kinds, as after a move to PostgreSQL and back; and one that was interrupted
    old = [
        "monitor-2025010%dT000000Z.%s" % (day, suffix)
        for day, suffix in enumerate(("pgdump", "sqlite3", "pgdump", "sqlite3"), 1)
    ]
    others = ["monitor-20200101T000000Z.sqlite3.mine", "before-the-upgrade.sqlite3"]
    for name in [*old, *others, "monitor-20250105T000000Z.sqlite3.part"]:
        (folder / name).touch()
    failed = back_up(
        tmp_path, ["swf_monitor.0002_x"], {"SWF_MONITOR_DATA_DIR": "/nowhere"}, copies=2
    )
    assert failed["failed"] and set(old) <= set(os.listdir(folder)), (
        "only a whole copy replaces an older one"
    )
    answer = back_up(tmp_path, ["swf_monitor.0002_x"], sqlite, copies=2)
    assert answer["removed"] == [str(folder / name) for name in old[:3]], answer
    assert sorted(os.listdir(folder)) == sorted([*others, old[3], os.path.basename(answer["path"])])
    assert (
        "must be at least 1" in back_up(tmp_path, ["swf_monitor.0002_x"], sqlite, copies=0)["msg"]
    )


def test_postgresql_is_dumped(tmp_path, postgresql):
    answer = back_up(tmp_path, ["swf_monitor.0002_x"], postgresql)
    assert answer["changed"], answer
    assert stat.S_IMODE(os.stat(answer["path"]).st_mode) == 0o600
    assert b"PostgreSQL database dump" in subprocess.check_output(
        [BIN + "/pg_restore", "-f", "-", answer["path"]]
    )
    assert PASSWORD not in json.dumps(answer) and os.listdir(tmp_path / "backups") == [
        os.path.basename(answer["path"])
    ]
    (tmp_path / "password_file").write_text("wrong\n")
    refused = back_up(tmp_path, ["swf_monitor.0002_x"], postgresql)
    assert refused["failed"] and "password authentication failed" in refused["msg"], refused
    assert len(os.listdir(tmp_path / "backups")) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_what_runs_as_the_monitors_user_has_that_users_home(sqlite, monkeypatch):
    """PostgreSQL's library looks for certificates in the home, and root's is closed to others."""
    monkeypatch.setenv("HOME", "/root")
    # not in tmp_path, which another user cannot enter
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        os.chmod(scratch, 0o755)
        program = Path(a_release(Path(scratch), [])) / "bin/swf-monitor"
        program.write_text('#!/bin/sh\necho "$(id -un) $HOME" >&2\nexit 1\n')
        answer = run_module(
            "database_backup",
            {
                "release": scratch + "/release",
                "directory": scratch + "/backups",
                "environment": sqlite,
                "user": "nobody",
            },
        )
    assert answer["failed"] and answer["msg"].endswith("nobody " + pwd.getpwnam("nobody").pw_dir), (
        answer
    )
