# SPDX-License-Identifier: GPL-3.0-or-later
"""What site.yml made of hosts that are laid out as EL 9 is: units, users, files, and the work."""

from __future__ import annotations

import re

import pytest

UNITS = {
    "services": {"nginx", "postgresql", "redis", "swf-broker", "swf-index", "swf-testbed"},
    "agents": {"swf-testbed"},
}
# the user of the last process of each program, which answers
USERS = {"java": "swf-broker", "postgres": "postgres", "nginx": "nginx", "redis-server": "redis"}
KEYS = {
    "/etc/nginx/swf-monitor.key": ("root", "root", 0o600),
    "/etc/swf-database/swf-testbed.key": ("root", "postgres", 0o640),
}
PACKAGES = "nginx postgresql postgresql-server redis java-17-openjdk-headless"


@pytest.fixture(name="services")
def the_host_of_the_services(lab):
    return lab.host(lab.services)


def test_the_testbed_does_its_work(lab, goes_on):
    goes_on()
    assert lab.ask("/api/health/")["database"]["engine"] == "postgresql"


@pytest.mark.parametrize("part", ["services", "agents"])
def test_units_have_the_names_of_el_run_and_start_at_boot(lab, part):
    for name in [lab.services] if part == "services" else lab.agents:
        host = lab.host(name)
        found = {unit: host.service(unit + ".service") for unit in UNITS[part]}
        state = {unit: (item.is_running, item.is_enabled) for unit, item in found.items()}
        assert state == dict.fromkeys(UNITS[part], (True, True))


def test_services_run_as_the_users_of_el(services):
    lines = [line.split() for line in services.check_output("ps -eo user:20,comm").splitlines()]
    assert {line[1]: line[0] for line in lines if line[1] in USERS} == USERS


def test_keys_are_for_those_who_must_read_them(services):
    found = {path: services.file(path) for path in KEYS}
    assert {path: (f.user, f.group, f.mode) for path, f in found.items()} == KEYS


def test_packages_came_by_dnf(services):
    assert services.run("rpm -q " + PACKAGES).rc == 0
    assert "15" in services.check_output("dnf --quiet module list --enabled postgresql")


def test_the_administrators_settings_of_postgresql_are_read_and_unchanged(services):
    ask = "runuser -u postgres -- psql -XAtc 'show %s'"
    assert services.check_output(ask % "config_file") == "/etc/swf-database/postgresql.conf"
    assert services.check_output(ask % "hba_file") == "/etc/swf-database/swf-testbed_hba.conf"
    # initdb writes it
    assert services.check_output(ask % "max_wal_size") == "1GB"
    assert "swf" not in services.file("/var/lib/pgsql/data/postgresql.conf").content_string


def test_redis_takes_the_password_alone(services, lab):
    address = lab.addresses[lab.services]
    answer = services.run(
        "redis-cli --tls --cacert /etc/swf-testbed/ca.pem -h %s PING" % address
    ).stdout
    assert "NOAUTH" in answer
    assert (
        services.check_output("readlink -f $(command -v redis-server)") == "/usr/bin/redis-server"
    )


def test_units_are_closed_enough(services):
    for unit in ("postgresql", "nginx", "swf-broker", "swf-testbed", "swf-index"):
        verdict = services.check_output(
            "systemd-analyze security --no-pager %s.service | tail -1" % unit
        )
        assert float(re.search(r"([\d.]+) [A-Z]", verdict).group(1)) <= 3.0, verdict


def test_doctor_finds_nothing(lab):
    done = lab.play("playbooks/doctor.yml")
    assert done.returncode == 0, done.stdout
