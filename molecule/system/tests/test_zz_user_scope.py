# SPDX-License-Identifier: GPL-3.0-or-later
"""The user scope after the reboot that test_z_disturbances.py made: nobody has logged in as its
owner since."""

from __future__ import annotations

import time

import pytest
from physicist import PORTS, manager


def test_it_came_up_without_a_login(host):
    with host.sudo():
        assert "physicist" not in host.check_output("loginctl list-sessions --no-legend")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if host.socket("tcp://127.0.0.1:%d" % PORTS["monitor"]).is_listening:
                break
            time.sleep(1)
        assert (
            "ActiveState=active" in manager(host, "show swf-testbed --property=ActiveState").stdout
        )
        assert host.socket("tcp://127.0.0.1:%d" % PORTS["monitor"]).is_listening


@pytest.mark.nightly
def test_it_stops_and_starts(host, as_physicist):
    done = as_physicist("playbooks/stop.yml")
    assert done.status == 0, done.output
    with host.sudo():
        assert (
            "ActiveState=inactive"
            in manager(host, "show swf-testbed --property=ActiveState").stdout
        )
    found = as_physicist("playbooks/doctor.yml")
    assert found.status == 2 and "swf-testbed.service is not active" in found.output, found.output
    done = as_physicist("playbooks/start.yml")
    assert done.status == 0, done.output
    assert as_physicist("playbooks/status.yml").status == 0


def test_the_command_of_the_login_stops_and_starts_what_systemd_runs(host):
    command = "runuser -u physicist -- env HOME=/home/physicist /home/physicist/.local/share/swf-testbed/current/bin/swf-testbed "
    with host.sudo():
        assert host.check_output(command + "stop") == "Stopped."
        # and not only for the moment until systemd starts it again
        time.sleep(5)
        assert (
            "ActiveState=inactive"
            in manager(host, "show swf-testbed --property=ActiveState").stdout
        )
        host.check_output(command + "start")
        assert (
            "ActiveState=active" in manager(host, "show swf-testbed --property=ActiveState").stdout
        )
        host.check_output(command + "status")


def test_it_goes_without_a_trace_of_its_unit(host, as_physicist):
    done = as_physicist("playbooks/uninstall.yml")
    assert done.status == 0, done.output
    with host.sudo():
        assert (
            "LoadState=not-found" in manager(host, "show swf-testbed --property=LoadState").stdout
        )
        # of its settings, the list of the data that stay is left
        assert host.check_output(
            "find /home/physicist/.config -path '*swf-testbed*' -type f"
        ).split() == ["/home/physicist/.config/swf-testbed/manifest.json"]
        assert host.run("pgrep -u physicist -f swf-testbed").failed
