# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs of the distribution an instance runs."""

from __future__ import annotations

import os

import pytest

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import private_services
from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host.layout import (
    MAX_SOCKET_BYTES,
)

LONGEST_SOCKET = 107  # bytes, of sockaddr_un without the final zero


def programs(folder, output, names=private_services.PROGRAMS):
    """A directory with programs that print a version."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\necho '%s'\n" % output)
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.fixture(name="place")
def a_host_with_some_servers(tmp_path, monkeypatch):
    programs(tmp_path / "lib/15/bin", "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)")
    programs(tmp_path / "lib/17/bin", "postgres (PostgreSQL) 17beta1")
    programs(tmp_path / "lib/9/bin", "postgres (PostgreSQL) 9.6.24")
    programs(tmp_path / "lib/18/bin", "postgres (PostgreSQL) 18.1", ["postgres"])
    monkeypatch.setattr(private_services, "PLACES", (str(tmp_path / "lib/*/bin"),))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return tmp_path


def test_the_newest_complete_server_is_chosen_and_no_other(place):
    found = [item.version for item in private_services.all_postgresql()]
    assert found == [(9, 6), (15, 18), (17, 0)]
    chosen = private_services.choose_postgresql("14", str(place / "cluster"))
    assert chosen == (str(place / "lib/17/bin"), None)


def test_pg_config_and_path_are_asked_too(place, monkeypatch):
    folder = programs(place / "opt/bin", "postgres (PostgreSQL) 16.2")
    programs(place / "path", folder, ["pg_config"])
    monkeypatch.setenv("PATH", str(place / "path"))
    assert folder in [item.directory for item in private_services.all_postgresql()]
    (place / "other").mkdir()
    (place / "other/postgres").symlink_to(place / "opt/bin/postgres")
    monkeypatch.setenv("PATH", str(place / "other"))
    assert folder in [item.directory for item in private_services.all_postgresql()]


def test_an_existing_cluster_has_the_server_of_its_version(place):
    cluster = place / "cluster"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("15\n")
    assert private_services.choose_postgresql("14", str(cluster))[0].endswith("15/bin")
    (cluster / "PG_VERSION").write_text("16\n")
    directory, problem = private_services.choose_postgresql("14", str(cluster))
    assert directory == "" and "is of version 16" in problem["evidence"]
    assert "15.18 in" in problem["evidence"] and "postgresql-16" in problem["fix"]


def test_a_cluster_whose_version_cannot_be_read_is_named(place):
    (place / "cluster").mkdir()
    (place / "cluster/PG_VERSION").write_text("fifteen")
    directory, problem = private_services.choose_postgresql("14", str(place / "cluster"))
    assert directory == "" and "fifteen" in problem["evidence"]


@pytest.mark.parametrize("minimum,fine", [("17", True), ("17.1", False), ("18", False)])
def test_an_older_server_than_the_stack_needs_is_refused(place, minimum, fine):
    directory, problem = private_services.choose_postgresql(minimum, str(place / "cluster"))
    assert bool(directory) == fine and (problem is None) == fine
    assert fine or "version %s or newer" % minimum in problem["cause"]


def test_root_is_refused(place, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    directory, problem = private_services.choose_postgresql("14", str(place / "cluster"))
    assert directory == "" and "does not run as root" in problem["cause"]
    assert "swf_testbed_database_host" in problem["fix"]


def test_redis_or_valkey(place, monkeypatch):
    assert "Install it" in private_services.choose_redis()[1]["fix"]
    folder = programs(place / "v", "Valkey server v=8.0.1", ["valkey-server"])
    monkeypatch.setenv("PATH", folder)
    assert private_services.choose_redis() == (folder + "/valkey-server", None)
    programs(place / "r", "Redis server v=7.0.15", ["redis-server"])
    monkeypatch.setenv("PATH", "%s:%s" % (folder, place / "r"))
    assert private_services.choose_redis() == (str(place / "r/redis-server"), None)


def test_the_client_that_backs_up_a_database_of_another_host(place, monkeypatch):
    monkeypatch.setattr(private_services, "PATH", str(place / "usr"))
    found = private_services.check_pg_dump()
    assert found["severity"] == "fatal" and "install postgresql-client" in found["fix"]
    folder = programs(place / "usr", "pg_dump (PostgreSQL) 16.4", ["pg_dump"])
    newer = programs(place / "lib/18/bin2", "pg_dump (PostgreSQL) 18.1", ["pg_dump"])
    monkeypatch.setattr(private_services, "PLACES", (newer,))
    assert private_services.check_pg_dump() is None
    assert private_services.all_pg_dump() == [
        (16, folder + "/pg_dump"),
        (18, newer + "/pg_dump"),
    ]


def test_the_check_of_the_socket_of_supervisord_covers_the_others():
    run_dir = MAX_SOCKET_BYTES - len("/supervisor.sock")
    for name in ("/.s.PGSQL.65535", "/redis.sock"):
        assert run_dir + len(name) <= LONGEST_SOCKET
