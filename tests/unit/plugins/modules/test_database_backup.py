# SPDX-License-Identifier: GPL-3.0-or-later
"""Real databases, SQLite and PostgreSQL, backed up and restored."""

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

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import private_services
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._instance.monitor_runner import (
    MonitorError,
    Runner,
)
from ansible_collections.bnlnpps.swf_testbed.plugins.modules import database_backup
from helpers.ports import free_port
from helpers.postgresql_server import (  # pylint: disable=unused-import
    BIN,
    PASSWORD,
    a_postgresql_server,  # noqa: F401
)
from helpers.run_module import run_module
from helpers.unprivileged import NOBODY, unprivileged_home

RELEASE = "0.2.0-3f2a9c1e"


def back_up(folder, check=False, release=RELEASE, drop_to=None, **options):
    binaries = folder / "releases" / release / "bin"
    if not binaries.exists():
        binaries.mkdir(parents=True)
        (binaries / "python").symlink_to(sys.executable)
    options = {"directory": str(folder / "backups"), **options}
    options["release"] = str(binaries.parent)
    return run_module("database_backup", options, check=check, drop_to=drop_to)


@pytest.fixture(name="sqlite")
def a_sqlite_database(tmp_path):
    path = tmp_path / "db.sqlite3"
    database = sqlite3.connect(str(path))
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE stf (name TEXT)")
    database.execute("INSERT INTO stf VALUES ('in the log that is written ahead')")
    database.commit()
    yield str(path)
    database.close()


def test_sqlite_is_copied_while_it_is_in_use(tmp_path, sqlite):
    predicted = back_up(tmp_path, check=True, sqlite=sqlite)
    assert predicted["changed"] and not (tmp_path / "backups").exists()
    answer = back_up(tmp_path, sqlite=sqlite)
    assert answer["changed"] and RELEASE in os.path.basename(answer["path"]), answer
    assert stat.S_IMODE(os.stat(answer["path"]).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "backups").st_mode) == 0o700
    with sqlite3.connect(answer["path"]) as copy:
        assert copy.execute("SELECT * FROM stf").fetchall() == [
            ("in the log that is written ahead",)
        ]


def test_without_a_database_there_is_nothing_to_back_up(tmp_path):
    answer = back_up(tmp_path, sqlite="/nowhere/db.sqlite3")
    assert not answer["changed"] and not answer["failed"] and not (tmp_path / "backups").exists()
    assert "there is no database /nowhere/db.sqlite3" in str(answer["warnings"])


def test_what_failed_is_named_and_nothing_half_is_left(tmp_path):
    (tmp_path / "db.sqlite3").write_text("no database" * 100)
    answer = back_up(tmp_path, sqlite=str(tmp_path / "db.sqlite3"))
    assert answer["failed"] and "file is not a database" in answer["msg"], answer
    assert "no program was changed. Evidence: " in answer["msg"]
    assert os.listdir(tmp_path / "backups") == []


def test_few_copies_stay_and_nothing_of_others_goes(tmp_path, sqlite):
    folder = tmp_path / "backups"
    folder.mkdir()
    # of both kinds, as after a move to PostgreSQL and back; and one that was interrupted
    old = [
        "monitor-2025010%dT000000Z%s" % (day, rest)
        for day, rest in enumerate(
            (".pgdump", ".sqlite3", "-0.1.0-a.pgdump", "-0.1.1-a.sqlite3"), 1
        )
    ]
    others = ["monitor-20200101T000000Z.sqlite3.mine", "before-the-upgrade.sqlite3"]
    for name in [*old, *others, "monitor-20250105T000000Z-0.1.2-a.sqlite3.part"]:
        (folder / name).touch()
    (tmp_path / "broken").write_text("no database" * 100)
    failed = back_up(tmp_path, keep=2, sqlite=str(tmp_path / "broken"))
    assert failed["failed"] and set(old) <= set(os.listdir(folder)), (
        "only a whole copy replaces an older one"
    )
    answer = back_up(tmp_path, keep=2, sqlite=sqlite)
    assert answer["removed"] == [str(folder / name) for name in old[:3]], answer
    assert sorted(os.listdir(folder)) == sorted([*others, old[3], os.path.basename(answer["path"])])
    assert "must be at least 1" in back_up(tmp_path, keep=0, sqlite=sqlite)["msg"]


def test_attempts_of_a_release_do_not_push_out_the_backup_before_the_first_one(tmp_path, sqlite):
    folder = tmp_path / "backups"
    folder.mkdir()
    before = "monitor-20250101T000000Z-0.1.0-a.sqlite3"
    attempts = ["monitor-2025010%dT000000Z-%s.sqlite3" % (day, RELEASE) for day in range(2, 7)]
    for name in [before, *attempts]:
        (folder / name).touch()
    answer = back_up(tmp_path, keep=2, sqlite=sqlite)
    assert answer["removed"] == [str(folder / name) for name in attempts[1:]]
    assert sorted(os.listdir(folder)) == [
        before,
        attempts[0],
        os.path.basename(answer["path"]),
    ]


def reached(postgresql):
    return {
        "host": postgresql["DB_HOST"],
        "port": postgresql["DB_PORT"],
        "name": postgresql["DB_NAME"],
        "login": postgresql["DB_USER"],
        "password": PASSWORD,
    }


def run(program, postgresql, *arguments):
    where = ["-h", postgresql["DB_HOST"], "-p", str(postgresql["DB_PORT"]), "-U", "swf"]
    return subprocess.check_output(
        [BIN + program, *where, *arguments], env={"PGPASSWORD": PASSWORD}, text=True
    )


def test_postgresql_is_dumped_and_restored(tmp_path, postgresql):
    def sql(text):
        return run("/psql", postgresql, "-d", "postgres", "-Atc", text).strip()

    sql("CREATE TABLE stf (name TEXT); INSERT INTO stf VALUES ('before the migration')")
    answer = back_up(tmp_path, **reached(postgresql))
    assert answer["changed"], answer
    assert stat.S_IMODE(os.stat(answer["path"]).st_mode) == 0o600
    assert PASSWORD not in json.dumps(answer) and os.listdir(tmp_path / "backups") == [
        os.path.basename(answer["path"])
    ]
    sql("DROP TABLE stf; CREATE TABLE stf (other INT)")
    # the commands of docs/how-to/upgrade.md
    run("/pg_restore", postgresql, "--clean", "--if-exists", "-d", "postgres", answer["path"])
    assert sql("SELECT * FROM stf") == "before the migration"

    refused = back_up(tmp_path, **{**reached(postgresql), "password": "wrong"})
    assert refused["failed"] and "password authentication failed" in refused["msg"], refused
    assert len(os.listdir(tmp_path / "backups")) == 1


def test_a_server_that_is_too_new_for_each_pg_dump_is_named(tmp_path, monkeypatch):
    """A stand-in for psql: a newer server is not at hand."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("pg_dump", "pg_dump (PostgreSQL) 15.3"), ("psql", "190002")):
        (programs / name).write_text("#!/bin/sh\necho '%s'\n" % text)
        (programs / name).chmod(0o755)
    monkeypatch.setattr(private_services, "PLACES", (str(programs),))
    monkeypatch.setattr(private_services, "PATH", "/nowhere")
    runner = Runner({"environment": {}, "user": ""})
    with pytest.raises(MonitorError) as error:
        database_backup.pg_dump(runner, {})
    assert "the server is of version 19, and the newest pg_dump of this host" in str(error.value)
    assert "Fix: install the client programs of the server's version" in str(error.value)
    (programs / "psql").write_text("#!/bin/sh\necho 140009\n")
    assert database_backup.pg_dump(runner, {}) == str(programs / "pg_dump")
    (programs / "pg_dump").unlink()
    with pytest.raises(MonitorError, match="there is no pg_dump on this host. Fix: "):
        database_backup.pg_dump(runner, {})


def test_an_instance_that_has_no_server_yet_has_no_database(tmp_path):
    conf = tmp_path / "supervisord.conf"
    conf.write_text("[supervisord]\n")
    service = {"name": "postgresql", "ready": "false"}
    answer = back_up(
        tmp_path, host=str(tmp_path), name="swf", login="swf", config=str(conf), services=[service]
    )
    assert not answer["changed"] and not answer["failed"], answer


@pytest.mark.skipif(not BIN and not os.environ.get("CI"), reason="needs PostgreSQL")
def test_a_stopped_server_of_the_instance_is_started_for_the_backup():
    with unprivileged_home() as home:
        data, port = home / "data", free_port()
        cluster = {"directory": str(data), "binaries": BIN, "name": "swf", "owner": "swf"}
        made = run_module("database_cluster", cluster, drop_to=NOBODY)
        assert made["changed"], made
        (home / "supervisord.conf").write_text(
            "[program:postgresql]\n"
            "command = %s/postgres -D %s -c port=%d -c listen_addresses= -c unix_socket_directories=%s\n"
            "stopsignal = INT\nstdout_logfile = %s/log\n" % (BIN, data, port, home, home)
        )
        ready = "%s/pg_isready -q -h %s -p %d" % (BIN, home, port)
        answer = back_up(
            home,
            host=str(home),
            port=port,
            name="swf",
            login="swf",
            config=str(home / "supervisord.conf"),
            services=[{"name": "postgresql", "ready": ready}],
            drop_to=NOBODY,
        )
        assert answer["changed"] and os.path.getsize(answer["path"]), answer
        assert not (data / "postmaster.pid").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_what_runs_as_another_user_has_that_users_home(monkeypatch):
    """PostgreSQL's library looks for certificates in the home, and root's is closed to others."""
    monkeypatch.setenv("HOME", "/root")
    # not in tmp_path, which another user cannot enter
    scratch = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        scratch.chmod(0o755)
        (scratch / "db.sqlite3").touch()
        (scratch / "releases/x/bin").mkdir(parents=True)
        program = scratch / "releases/x/bin/python"
        program.write_text('#!/bin/sh\necho "$(id -un) $HOME" >&2\nexit 1\n')
        program.chmod(0o755)
        answer = back_up(scratch, release="x", sqlite=str(scratch / "db.sqlite3"), user="nobody")
    finally:
        shutil.rmtree(scratch)
    assert "nobody " + pwd.getpwnam("nobody").pw_dir in answer["msg"], answer
