# SPDX-License-Identifier: GPL-3.0-or-later
"""A run ends before the change-over when it has lost a host, unless that host only runs agents and
few are missing."""

from __future__ import annotations

import pytest

from helpers.fleet_of_this_machine import Fleet

ALLOW_ONE = ("-e", "swf_testbed_max_unreachable=1")
NEXT = "TASK [bnlnpps.swf_testbed.pip_index"
CHANGE_OVER = "TASK [bnlnpps.swf_testbed._instance"


@pytest.fixture(name="fleet", scope="module")
def a_fleet():
    fleet = Fleet()
    yield fleet
    fleet.close()


@pytest.mark.parametrize(
    "playbook, group",
    [
        ("site", "agents"),
        *(
            pytest.param(playbook, group, marks=pytest.mark.nightly)
            for playbook in ("site", "upgrade")
            for group in ("testbed", "agents", "monitor")
            if (playbook, group) != ("site", "agents")
        ),
    ],
)
def test_a_host_that_cannot_be_reached_ends_the_run_with_the_command_that_leaves_it_out(
    fleet, playbook, group
):
    fleet.inventory(
        testbed={
            "one": fleet.here("one", "broker", "monitor", "monitor-listener"),
            **({"lost": fleet.gone("data-agent")} if group != "agents" else {}),
        },
        agents={
            "two": fleet.here("two", "data-agent"),
            **({"lost": fleet.gone("data-agent")} if group == "agents" else {}),
        },
        monitor={"lost": {}} if group == "monitor" else {},
    )
    code, output = fleet.play(playbook, *(ALLOW_ONE if group != "agents" else ()))
    assert code != 0 and CHANGE_OVER not in output, output
    assert (
        "1 host is missing, and the run ends before any program switches to the new configuration. "
        "Running programs are unchanged." in output
    ), output
    assert "- lost: " in output and "Evidence: " in output and "127.0.0.1" in output, output
    assert (
        "--limit 'all:!lost'" in output and "playbooks/%s.yml -i hosts.yml" % playbook in output
    ), output
    assert ("only run agents, 0 may be unreachable (swf_testbed_max_unreachable)" in output) == (
        group == "agents"
    ), output


def test_a_service_that_is_lost_in_the_middle_ends_the_run(fleet):
    """Not the preflight checks: the play of the firewall is the first that has hosts of services
    alone."""
    fleet.inventory(
        testbed={"one": fleet.here("one", "broker", "monitor", "monitor-listener")},
        database={
            "services": dict(fleet.here("services"), swf_testbed_firewall_manager="nonsense")
        },
        broker={"one": {}},
    )
    code, output = fleet.play(
        "site", "-e", "swf_testbed_database_host=db.example", "--skip-tags", "always", "--check"
    )
    assert code != 0 and NEXT not in output and CHANGE_OVER not in output, output
    assert "- services failed, see above" in output and "--limit 'all:!services'" in output, output


@pytest.mark.nightly
def test_a_service_that_cannot_be_provided_ends_the_run(fleet):
    fleet.inventory(
        testbed={"one": fleet.here("one", "monitor", "monitor-listener")},
        broker={"services": fleet.here("services", swf_testbed_broker_users=[])},
    )
    code, output = fleet.play("site", "--skip-tags", "always", "--check")
    assert code != 0 and CHANGE_OVER not in output, output
    assert "swf_testbed_broker_users needs at least one user" in output, output
    assert (
        "To continue without this host: ansible-playbook" in output
        and "--limit 'all:!services'" in output
    ), output


@pytest.mark.nightly
@pytest.mark.parametrize("allowed", [False, True], ids=["none", "one"])
def test_a_host_that_failed_is_not_one_that_is_missing(fleet, allowed):
    fleet.inventory(
        testbed={"one": fleet.here("one", "broker", "monitor", "monitor-listener")},
        agents={
            "two": fleet.here("two", "data-agent", swf_testbed_python="/no/python"),
            "three": fleet.here("three", "data-agent"),
        },
    )
    code, output = fleet.play("site", "--limit", "one,agents", *(ALLOW_ONE if allowed else ()))
    assert code != 0 and NEXT not in output, output
    assert "no Python named '/no/python'" in output and "- two failed, see above" in output, output
    assert "--limit 'one,agents,!two'" in output, output


@pytest.mark.nightly
@pytest.mark.parametrize("playbook", ["site", "upgrade"])
def test_agents_may_be_missing_where_that_is_allowed_and_are_named_in_the_end(fleet, playbook):
    fleet.inventory(
        testbed={"one": fleet.here("one", "broker", "monitor", "monitor-listener")},
        agents={"lost": fleet.gone("data-agent"), "two": fleet.here("two", "data-agent")},
    )
    code, output = fleet.play(playbook, "--check", *ALLOW_ONE)
    assert code != 0, output
    # to the end, and on the other host of agents too
    assert output.count("changed: [two]") >= 3 and "lost - - UNREACHABLE" in output, output


def test_values_of_extra_variables_are_not_repeated(fleet):
    here = fleet.here("one", "monitor", "broker")
    fleet.inventory(testbed={"one": here, "lost": fleet.gone("data-agent")})
    code, output = fleet.play("site", "-e", "swf_testbed_broker_password=canary-password")
    assert (
        code != 0
        and "canary-password" not in output
        and "'all:!lost' with the same other options" in output
    ), output
