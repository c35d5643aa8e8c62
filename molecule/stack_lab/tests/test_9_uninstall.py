# SPDX-License-Identifier: GPL-3.0-or-later
"""Last: the stack goes from the lab, and nothing else does."""

from __future__ import annotations

# the cache of uv is the administrator's
OURS = """
find / -xdev \\( -path /proc -o -path /sys -o -path /tmp -o -path /run -o -path /var/tmp -o -path /root/.cache -o -path /srv \\) \
    -prune -o -name 'swf*' -print -prune
systemctl list-units --all --no-legend 'swf*'
pgrep -lu swf-testbed
true
"""
UNINSTALL = ("playbooks/uninstall.yml", "-e", "swf_testbed_uninstall_data=true")


def test_nothing_of_it_is_left(site):
    done = site.play(*UNINSTALL)
    assert done.returncode == 0, done.stdout
    left = {host: site.on(host, "sh", "-c", OURS).split() for host in ("lab-services", *site.hosts)}
    # packages cannot be downloaded again, so their backup stays
    preserved = {"/var/lib/swf-index-backups"}
    assert {host: set(found) - preserved for host, found in left.items()} == dict.fromkeys(
        left, set()
    )


def test_services_of_the_distribution_stay_without_the_testbed(site):
    state = site.on("lab-services", "systemctl", "is-active", "postgresql@15-main.service")
    assert state == "active\n"
    shown = site.on(
        "lab-services", "systemctl", "show", "--property=ActiveState,DropInPaths", "redis-server"
    )
    assert "ActiveState=inactive" in shown and "swf" not in shown


def test_a_second_run_finds_nothing_to_remove(site):
    done = site.play(*UNINSTALL)
    assert done.returncode == 0 and "changed=0" in done.stdout, done.stdout
    assert " changed=1" not in done.stdout
