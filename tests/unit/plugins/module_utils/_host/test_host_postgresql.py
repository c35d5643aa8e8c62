# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PostgreSQL server of a host is used, in the layouts of the platforms."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.bnlnpps.swf_testbed.plugins.module_utils._host import postgresql

ROLE = Path(__file__).resolve().parents[5] / "roles/database"


def platform(family, release=""):
    (content,) = yaml.safe_load((ROLE / "vars" / (family + ".yml")).read_text()).values()
    return {**content, **content["by_release"].get(release, {})}


DEBIAN, EL9, EL10 = platform("Debian", "12"), platform("RedHat", "9"), platform("RedHat", "10")


class Host:
    def __init__(self, root, monkeypatch):
        self.root, self.units = str(root), {}
        monkeypatch.setattr(postgresql, "properties", lambda unit: self.units.get(unit, {}))

    def program(self, folder, version):
        path = Path(self.root + folder, "postgres")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) %s.4'\n" % version)
        path.chmod(0o755)

    def cluster(self, folder, version):
        path = Path(self.root + folder)
        path.mkdir(parents=True)
        (path / "PG_VERSION").write_text("%d\n" % version)

    def file(self, path, text=""):
        place = Path(self.root + path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def find(self, data, wanted=0):
        return postgresql.find(data["layouts"], wanted, data["default_version"], self.root)


@pytest.fixture(name="host")
def a_host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "data, install, unit, version",
    [
        (DEBIAN, "postgresql-15", "postgresql@15-main.service", 15),
        (platform("Debian", "22"), "postgresql-14", "postgresql@14-main.service", 14),
        (EL9, "@postgresql:16/server", "postgresql.service", 16),
        (EL10, "postgresql-server", "postgresql.service", 16),
    ],
)
def test_a_bare_host_gets_the_server_of_its_platform(host, data, install, unit, version):
    server = host.find(data)
    assert (server.install, server.unit, server.version) == (install, unit, version)
    assert not server.installed and not server.cluster


def test_a_client_of_another_version_is_no_server(host):
    host.file("/usr/lib/postgresql/17/bin/pg_dump")
    # of a removed package
    host.file("/etc/postgresql/13/main/postgresql.conf")
    assert host.find(DEBIAN).version == 15


def test_a_version_that_the_inventory_wants(host):
    server = host.find(EL9, 15)
    assert (server.install, server.package) == ("@postgresql:15/server", "postgresql-server")


def test_an_unknown_release_needs_the_version(host):
    with pytest.raises(
        postgresql.ServerError, match="Fix: find it .* swf_testbed_database_version"
    ):
        host.find(platform("Debian", "99"))
    assert host.find(platform("Debian", "99"), 18).package == "postgresql-18"


def test_pgdg_is_used_where_it_is_installed(host):
    host.program("/usr/pgsql-16/bin", 16)
    server = host.find(EL9)
    assert (server.unit, server.installed) == ("postgresql-16.service", True)
    assert server.initialise == "/usr/pgsql-16/bin/postgresql-16-setup initdb"
    assert server.data == "/var/lib/pgsql/16/data" and not server.cluster


def test_the_data_directory_of_a_unit_is_found(host):
    host.program("/usr/pgsql-16/bin", 16)
    host.units["postgresql-16.service"] = {"Environment": "A=b PGDATA=/srv/db/16 C=d"}
    host.cluster("/srv/db/16", 16)
    server = host.find(EL9)
    assert server.data == "/srv/db/16" and server.cluster


def test_the_data_directory_of_a_configuration_is_found(host):
    host.file("/etc/postgresql/15/main/postgresql.conf", "data_directory = '/srv/15'\n")
    host.cluster("/srv/15", 15)
    assert host.find(DEBIAN).data == "/srv/15" and host.find(DEBIAN).cluster


def test_a_running_server_comes_before_one_with_a_cluster(host):
    host.program("/usr/bin", 13)
    host.cluster("/var/lib/pgsql/data", 13)
    host.program("/usr/pgsql-16/bin", 16)
    assert host.find(EL9).version == 13
    host.units["postgresql-16.service"] = {"ActiveState": "active"}
    assert host.find(EL9).version == 16
    assert host.find(EL9, 13).unit == "postgresql.service"


def test_the_server_with_our_configuration_stays_after_an_upgrade_of_the_distribution(host):
    for version in (15, 17):
        host.program("/usr/lib/postgresql/%d/bin" % version, version)
        host.cluster("/var/lib/postgresql/%d/main" % version, version)
        host.file("/etc/postgresql/%d/main/postgresql.conf" % version)
    trixie = platform("Debian", "13")
    assert host.find(trixie).version == 17
    host.file("/etc/systemd/system/postgresql@15-main.service.d/swf-testbed.conf")
    assert host.find(trixie).version == 15


def test_a_cluster_that_the_programs_cannot_read_is_refused(host):
    host.program("/usr/bin", 16)
    host.cluster("/var/lib/pgsql/data", 13)
    with pytest.raises(postgresql.ServerError, match="is of version 13, and .* of version 16"):
        host.find(EL9)
