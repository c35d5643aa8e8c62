# SPDX-License-Identifier: GPL-3.0-or-later
"""Last: the testbed goes from the hosts, and nothing else does."""

from __future__ import annotations

# the cache of uv is the administrator's
OURS = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /tmp -o -path /run -o -path /var/tmp -o "
    "-path /root/.cache \\) -prune -o -name 'swf*' -print -prune"
)
UNINSTALL = ("playbooks/uninstall.yml", "-e", "swf_testbed_uninstall_data=true")


def test_nothing_of_it_is_left(lab):
    done = lab.play(*UNINSTALL)
    assert done.returncode == 0, done.stdout
    for name in lab.addresses:
        # packages cannot be downloaded again, so their backup stays
        left = set(lab.host(name).check_output(OURS).splitlines()) - {"/var/lib/swf-index-backups"}
        assert left == set(), name


def test_services_of_the_distribution_stay_without_the_testbed(lab):
    host = lab.host(lab.services)
    assert host.service("postgresql").is_running and host.service("nginx").is_running
    assert not host.service("redis").is_running
    shown = host.check_output("systemctl show --property=DropInPaths postgresql nginx redis")
    assert "swf" not in shown


def test_a_second_run_finds_nothing_to_remove(lab):
    done = lab.play(*UNINSTALL)
    assert done.returncode == 0 and " changed=1" not in done.stdout, done.stdout
