# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a host: after each, the testbed is healthy again without a hand, and no file is
lost."""

from __future__ import annotations

import json
import time

import pytest

PORT = 8002
# the hosts are bare, and have no curl
FETCH = "python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())'"


@pytest.fixture(name="root")
def commands_as_root(host):
    with host.sudo():
        yield host


def get(root, path):
    done = root.run("%s http://127.0.0.1:%d%s" % (FETCH, PORT, path))
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {}


def wait_until_healthy(root, seconds=120):
    """Healthy, and going on: files that are made from now on are processed and sampled."""
    before, deadline = None, time.monotonic() + seconds
    while time.monotonic() < deadline:
        health, summary = get(root, "/api/health/"), get(root, "/api/summary/")
        if health.get("status") == "ok" and summary:
            before = before or summary
            if (
                summary["stf"]["processed"] > before["stf"]["processed"]
                and summary["stf"]["sampled"] > before["stf"]["sampled"]
            ):
                return
        time.sleep(1)
    raise AssertionError((health, summary))


def wait_until_nothing_is_open(root, registered, seconds=180):
    """Every file that was registered before is processed and sampled in the end; failed ones would
    be lost."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        stf = get(root, "/api/summary/").get("stf", {})
        if stf and stf["processed"] >= registered and stf["sampled"] >= registered:
            assert stf["failed"] == 0
            return
        time.sleep(1)
    raise AssertionError((registered, stf))


@pytest.mark.parametrize("victim", ["supervisord", "processing-agent", "broker"])
def test_a_process_is_killed(root, victim):
    wait_until_healthy(root)
    registered = get(root, "/api/summary/")["stf"]["total"]
    if victim == "supervisord":
        root.check_output("systemctl kill --signal=KILL --kill-whom=main swf-testbed.service")
    else:
        root.check_output("pkill -9 -u swf-testbed -f bin/swf-%s" % victim)
    time.sleep(2)
    wait_until_healthy(root)
    wait_until_nothing_is_open(root, registered)


@pytest.mark.parametrize("instance", ["swf-testbed", "swf-index"])
def test_a_program_shuts_supervisord_down(root, instance):
    """It may, over the socket of its own instance; the end is a clean one."""
    conf = "/etc/%s/supervisord.conf" % instance
    ctl = (
        root.check_output("sed -n 's/^supervisord = //p' " + conf).rpartition("/")[0]
        + "/supervisorctl"
    )
    show = "systemctl show %s.service --property=MainPID --value" % instance
    before = root.check_output(show)
    root.check_output("runuser -u %s -- %s -c %s shutdown", instance, ctl, conf)
    deadline = time.monotonic() + 60
    while (
        root.check_output(show) in ("0", before)
        or "RUNNING" not in root.run("%s -c %s status", ctl, conf).stdout
    ):
        assert time.monotonic() < deadline, root.run("systemctl status %s.service", instance).stdout
        time.sleep(1)
    # of its own accord, and with the socket as it was
    socket = root.file("/run/%s/supervisor.sock" % instance)
    assert (socket.user, socket.group, socket.mode) == (instance, "swf-operators", 0o770)
    wait_until_healthy(root)


def booted(host):
    """When the host was started; empty while nobody answers."""
    try:
        return host.run("stat -c %Y /proc/1/stat").stdout.strip()
    except RuntimeError:
        # what testinfra makes of an ssh that cannot connect
        return ""


def test_the_host_reboots(root, host):
    wait_until_healthy(root)
    registered = get(root, "/api/summary/")["stf"]["total"]
    before = booted(host)
    root.run("systemd-run --on-active=1 systemctl reboot")
    deadline = time.monotonic() + 120
    while booted(host) in ("", before):
        assert time.monotonic() < deadline, "no reboot"
        time.sleep(1)
    wait_until_healthy(root, 180)
    wait_until_nothing_is_open(root, registered)
