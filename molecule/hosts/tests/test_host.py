# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the hosts whatever runs on them; without it, the other tests would say little."""

from __future__ import annotations


def test_no_unit_has_failed(host):
    state = host.run("systemctl is-system-running --wait")
    assert state.stdout.strip() == "running", host.run("systemctl --failed --no-legend").stdout


def test_the_login_is_unprivileged(host):
    with host.sudo("ops"):
        assert host.user().name == "ops"
        assert host.run("cat /etc/shadow").failed
    assert "sudo" not in host.user("ops").groups


def test_limits_and_protections_of_units_hold(host):
    """As on a machine: in a container they may be ignored without a word."""
    # collected, so that what fails here is not seen as failed
    run = "systemd-run --quiet --wait --pipe --collect "
    # one hierarchy of cgroups, or one for memory
    read = (
        "place=/sys/fs/cgroup; own=$(cut -d: -f2- /proc/self/cgroup); "
        "cat $place$(echo $own | tr ' ' '\\n' | sed -n s/^://p)/memory.max 2>/dev/null || "
        "cat $place/memory$(echo $own | tr ' ' '\\n' | sed -n s/^memory://p)/memory.limit_in_bytes"
    )
    assert int(host.check_output(run + "-p MemoryMax=64M sh -c %s", read)) == 64 << 20
    assert (
        "Read-only file system" in host.run(run + "-p ProtectSystem=strict touch /etc/new").stderr
    )
