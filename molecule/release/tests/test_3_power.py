# SPDX-License-Identifier: GPL-3.0-or-later
"""A host fails during its change-over. It restarts by itself with the previous release and its unit,
and the same upgrade succeeds when it is run again."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time

import pytest
from fleet import PATIENCE, podman

APPLY = "Apply the configuration of the programs"
LOADED = ("ActiveState", "LimitNOFILE", "NeedDaemonReload")
# what Ansible says where a host does not answer any more
UNREACHABLE = "Make sure this host can be reached over ssh|UNREACHABLE"


def fails(lab, name):
    """The power of a host fails for some seconds. Its network fails first, so that it closes no
    connection."""
    podman("exec", lab.container(name), "ip", "link", "set", "eth0", "down")
    podman("stop", "--time", "0", lab.container(name))
    time.sleep(3)
    podman("start", lab.container(name))


def reboots(lab, name):
    # the host may be gone before podman has the answer; one that does not reboot fails the test
    # further down
    with contextlib.suppress(subprocess.CalledProcessError):
        podman("exec", lab.container(name), "systemctl", "reboot")


@pytest.mark.parametrize(
    "name, turn, happens, expected, setting",
    [
        # turns: the services, the first host of agents, the others
        (
            "agents-2",
            3,
            fails,
            "agents-2 became unreachable, and this host rolls back with its batch.",
            {},
        ),
        # The setting is one of the unit, so that supervisord runs from the new one when the host
        # goes down. It takes its time: a controller that is quick hears from supervisord, or finds
        # that it has just ended, before it hears nothing.
        (
            "agents-1",
            2,
            reboots,
            UNREACHABLE + "|is shutting down|There is no socket",
            {"swf_testbed_systemd_limit_nofile": 8192},
        ),
        ("lab-services", 1, fails, UNREACHABLE, {}),
    ],
    ids=["power of a host of a batch", "reboot of the canary", "power of the services"],
)
def test_a_host_goes_away_in_its_change_over(
    fleet, lab, serves, goes_on, nothing_lost, wait_until, name, turn, happens, expected, setting
):
    version, before = fleet.another_version(), fleet.states()
    code, output = fleet.play_and_disturb(
        "upgrade.yml",
        APPLY,
        turn,
        lambda: happens(lab, name),
        swf_testbed_release_version=version,
        **setting,
    )
    assert (
        code != 0
        and "fatal: [%s]" % name in output
        and re.search(expected, " ".join(output.split()))
    ), output
    # without a hand
    problems, runs = {}, {}

    def whole():
        for host in fleet.hosts:
            problems[host], runs[host] = fleet.mixed(host)
        return not any(problems.values())

    wait_until(whole, PATIENCE, lambda: problems)
    goes_on()
    # it, the other one of its batch, and hosts whose turn did not come
    old = [name, *lab.agents[turn - 1 :]]
    assert [runs[host] for host in old] == [before[host]["current"] for host in old]
    state = fleet.state(name)
    assert state["unit"] == before[name]["unit"]
    assert [state["loaded"][what] for what in LOADED] == [
        before[name]["loaded"][what] for what in LOADED
    ]
    again, output = fleet.play("upgrade.yml", swf_testbed_release_version=version, **setting)
    assert again == 0, output
    releases = {host: state["current"] for host, state in fleet.states().items()}
    assert len(set(releases.values())) == 1 and releases[name].rpartition("-")[0] == version, (
        releases
    )
    serves(releases)
    nothing_lost()
