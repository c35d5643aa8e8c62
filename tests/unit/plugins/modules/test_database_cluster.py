# SPDX-License-Identifier: GPL-3.0-or-later
"""The private cluster, with the real PostgreSQL and an unprivileged login."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import private_services
from helpers.run_module import run_module
from helpers.unprivileged import NOBODY, as_nobody, unprivileged_home

INSTALLED = private_services.all_postgresql()
NAMES = {"name": "o'dd \"data base", "owner": "o'dd \"role"}

pytestmark = pytest.mark.skipif(
    not INSTALLED and not os.environ.get("CI"),
    reason="needs PostgreSQL: apt-get install postgresql",
)


class Place:
    def __init__(self, home):
        self.home, self.directory, self.run_dir = home, home / "postgresql", home / "run"
        self.binaries = INSTALLED[-1].directory
        self.run_dir.mkdir(mode=0o700)

    def cluster(self, check=False, **more):
        options = {"directory": str(self.directory), "binaries": self.binaries, **NAMES, **more}
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        return run_module("database_cluster", options, check=check, env=environment, drop_to=NOBODY)

    def start(self, port=5432):
        """The server, with the options of the component."""
        command = [
            self.binaries + "/postgres",
            *("-D", str(self.directory), "-c", "listen_addresses=", "-c", "port=%d" % port),
            *("-c", 'unix_socket_directories="%s"' % self.run_dir),
            *("-c", "unix_socket_permissions=0700", "-c", "dynamic_shared_memory_type=mmap"),
        ]
        with open(self.home / "log", "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **as_nobody())
        deadline = time.monotonic() + 30
        while self.psql("SELECT 1", port=port).returncode and time.monotonic() < deadline:
            time.sleep(0.1)
        return process

    def psql(self, sql, user=NAMES["owner"], name=NAMES["name"], port=5432):
        return subprocess.run(
            [
                self.binaries + "/psql",
                *("-XqAtw", "-h", str(self.run_dir), "-p", str(port), "-U", user, "-d", name),
            ],
            input=sql,
            text=True,
            capture_output=True,
            check=False,
            cwd="/",
            **as_nobody(),
        )


def stop(process):
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


@pytest.fixture(name="place")
def a_login_with_a_home():
    with unprivileged_home() as home:
        yield Place(home)


@pytest.fixture(name="served")
def a_cluster_that_is_served(place):
    assert not place.cluster()["failed"]
    process = place.start()
    yield place
    stop(process)


def test_a_new_cluster_has_the_role_and_the_database_and_a_second_call_changes_nothing(place):
    predicted = place.cluster(check=True)
    assert predicted["changes"] == ["cluster", "role", "database"]
    assert not place.directory.exists()
    answer = place.cluster()
    assert answer["changes"] == predicted["changes"] and answer["changed"], answer
    assert not Path(str(place.directory) + ".new").exists()
    assert oct(place.directory.stat().st_mode & 0o777) == "0o700"
    # whether its server runs or not
    assert not place.cluster()["changed"]
    process = place.start()
    try:
        assert not place.cluster()["changed"]
        done = place.psql("CREATE TABLE t (a int); INSERT INTO t VALUES (7); SELECT a FROM t")
        assert done.stdout.strip() == "7", done.stderr
        rights = "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = "
        done = place.psql(rights + "current_user")
        assert done.stdout.strip() == "f"
        done = place.psql("SHOW server_encoding; SHOW listen_addresses")
        assert done.stdout.split() == ["UTF8"]
    finally:
        stop(process)


def test_only_the_owner_can_use_the_socket(served):
    socket = served.run_dir / ".s.PGSQL.5432"
    assert oct(socket.stat().st_mode & 0o777) == "0o700"
    access = (served.directory / "pg_hba.conf").read_text().splitlines()
    rules = [line.split() for line in access if line and not line.startswith("#")]
    assert {rule[-1] for rule in rules if rule[0] == "local"} == {"trust"}
    assert {rule[-1] for rule in rules if rule[0] != "local"} == {"reject"}


def test_an_existing_cluster_is_completed_and_its_data_stay(served):
    assert served.psql("CREATE TABLE t AS SELECT 7 AS a").returncode == 0
    predicted = served.cluster(check=True, owner="other", name="another")
    assert predicted["changes"] == ["role", "database"]
    assert served.psql("SELECT 1", "other", "another").returncode
    assert served.cluster(owner="other", name="another")["changes"] == ["role", "database"]
    assert served.psql("SELECT 1", "other", "another").returncode == 0
    assert served.psql("SELECT a FROM t").stdout.strip() == "7"


def test_a_stopped_cluster_is_completed_too_also_after_a_crash(place):
    place.cluster()
    process = place.start()
    process.kill()
    process.wait(30)
    # children end by themselves, and the file of the killed server stays
    assert (place.directory / "postmaster.pid").exists()
    time.sleep(1)
    assert place.cluster(check=True, name="another")["changes"] == []
    assert place.cluster(name="another")["changes"] == ["database"]
    assert not place.cluster(name="another")["changed"]


def test_a_server_is_found_on_the_port_it_has(place):
    place.cluster()
    process = place.start(port=5433)
    try:
        assert place.cluster(name="another")["changes"] == ["database"]
    finally:
        stop(process)


def test_another_major_version_is_refused_and_nothing_is_touched(place):
    place.cluster()
    (place.directory / "PG_VERSION").write_text("9\n")
    before = sorted(path.name for path in place.directory.iterdir())
    answer = place.cluster()
    assert answer["failed"] and "is of version 9" in answer["msg"] and "Fix: " in answer["msg"]
    assert sorted(path.name for path in place.directory.iterdir()) == before


def test_a_directory_with_other_files_is_refused(place):
    place.directory.mkdir()
    (place.directory / "thesis.txt").write_text("x")
    answer = place.cluster()
    assert answer["failed"] and "has other files" in answer["msg"]
    assert [path.name for path in place.directory.iterdir()] == ["thesis.txt"]


def test_an_interrupted_creation_starts_from_the_beginning(place):
    scratch = Path(str(place.directory) + ".new")
    scratch.mkdir()
    (scratch / "PG_VERSION").write_text("half")
    assert place.cluster()["changes"] == ["cluster", "role", "database"]
    assert not scratch.exists()


def test_a_failed_creation_leaves_nothing(place):
    place.home.chmod(0o500)
    answer = place.cluster()
    place.home.chmod(0o755)
    assert answer["failed"] and "initdb" in answer["msg"]
    assert not place.directory.exists() and not Path(str(place.directory) + ".new").exists()


def test_root_is_refused(tmp_path):
    if os.getuid() != 0:
        pytest.skip("needs root")
    options = {"directory": str(tmp_path / "new"), "binaries": INSTALLED[-1].directory}
    answer = run_module("database_cluster", {**options, **NAMES})
    assert answer["failed"] and "does not run as root" in answer["msg"]
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_a_server_is_refused(place):
    answer = place.cluster(binaries="/usr/lib")
    assert answer["failed"] and "no PostgreSQL server in /usr/lib" in answer["msg"]
