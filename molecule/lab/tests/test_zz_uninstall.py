# SPDX-License-Identifier: GPL-3.0-or-later
"""Last: the testbed goes from the lab, and nothing else does."""

from __future__ import annotations

import re

import pytest

# the cache of uv is the administrator's
OURS = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /tmp -o -path /run -o -path /var/tmp -o "
    "-path /root/.cache \\) "
    "-prune -o -name 'swf*' -print -prune"
)
LEFT_ALONE = {
    "services": {"nginx.service", "postgresql@15-main.service", "firewalld.service"},
    "agents": {"ssh.service"},
}


def counted(output):
    return {
        name: int(changed)
        for name, changed in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", output, re.MULTILINE)
    }


@pytest.fixture(name="left", scope="module")
def after_an_uninstall(lab):
    foreseen = lab.play(
        "playbooks/uninstall.yml", "-e", "swf_testbed_uninstall_data=true", "--check"
    )
    assert foreseen.returncode == 0, foreseen.stdout
    assert all(lab.host(name).service("swf-testbed").is_running for name in lab.addresses), (
        "--check stopped something"
    )
    done = lab.play("playbooks/uninstall.yml", "-e", "swf_testbed_uninstall_data=true")
    assert done.returncode == 0, done.stdout
    assert all(changed for changed in counted(foreseen.stdout).values()), foreseen.stdout
    return done


def test_a_second_run_finds_nothing_to_remove(left, lab):
    assert left.returncode == 0
    again = lab.play("playbooks/uninstall.yml", "-e", "swf_testbed_uninstall_data=true")
    assert again.returncode == 0 and set(counted(again.stdout).values()) == {0}, again.stdout


def test_nothing_of_it_is_left(host, left):
    assert left.returncode == 0
    # packages cannot be downloaded again, so their backup stays; a file system of others stays
    # mounted
    preserved = {"/var/lib/swf-index-backups", "/var/lib/swf-testbed"}
    assert set(host.check_output(OURS).splitlines()) - preserved == set()
    assert host.check_output("systemctl list-units --all --no-legend 'swf*'") == ""
    assert host.run("pgrep -u swf-testbed").failed


def test_what_is_not_ours_goes_on(host, left, lab):
    assert left.returncode == 0
    name = host.ansible.get_variables()["inventory_hostname"]
    for unit in LEFT_ALONE["services" if name == lab.services else "agents"]:
        assert host.service(unit).is_running, unit
    if name == lab.services:
        assert "swf" not in host.check_output(
            "firewall-cmd --list-services --permanent; firewall-cmd --list-services"
        )
        with host.sudo("postgres"):
            names = host.check_output(
                "psql -Atc 'select datname from pg_database union select rolname from pg_roles'"
            )
            assert "postgres" in names and "swf_testbed" not in names
