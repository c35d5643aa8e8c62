# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases and settings that do not work: a host that fails its gate goes back, its batch with it,
and the play ends there."""

from __future__ import annotations

import pytest

EXITS = """
import sys


def main():
    if %s:
        print("the cause is here")
        sys.exit(7)
    from swf_common_lib.cli import run_agent
    from swf_%s_agent.agent import %s
    return run_agent(%s)
"""
SERVES_AGAIN = "is active again, with its configuration, and is "
# the monitor, which reports the health of all, is on another host
RUNS_AGAIN = SERVES_AGAIN + "running; health not checked."
IS_HEALTHY_AGAIN = SERVES_AGAIN + "healthy."


def program(name, agent, condition):
    """The main module of an agent that exits at once where a condition holds."""
    return {"swf_%s_agent/__main__.py" % name: EXITS % (condition, name, agent, agent)}


def reports(output, *expected):
    text = " ".join(output.split())
    assert not [words for words in expected if words not in text], output


def current(fleet):
    return {name: state["current"] for name, state in fleet.states().items()}


def test_a_release_that_fails_on_the_canary(fleet, lab, serves, nothing_lost):
    """The canary goes back, and the others were never touched. The hosts before it have the new
    release, and keep it."""
    before = current(fleet)
    version = fleet.new_version(swf_data_agent=program("data", "DataAgent", "True"))
    code, output = fleet.play("upgrade.yml", swf_testbed_release_version=version)
    assert code != 0
    reports(
        output,
        "The release %s-" % version,
        "data-agent is",
        "exit status 7",
        "The end of the log of data-agent:",
        "the cause is here",
        "The release %s %s" % (before["agents-1"], RUNS_AGAIN),
        "Fix: remove the cause and run site.yml again",
    )
    after = current(fleet)
    assert {name: after[name] for name in lab.agents} == {name: before[name] for name in lab.agents}
    assert after[lab.services].startswith(version + "-")
    serves(after)
    nothing_lost()


def test_a_release_that_fails_on_one_host_of_a_batch(fleet, lab, serves, nothing_lost):
    """It works with the Python of Debian 12 and not with that of Debian 13: the canary keeps it,
    both of the batch go back."""
    before = current(fleet)
    version = fleet.new_version(
        swf_processing_agent=program("processing", "ProcessingAgent", "sys.version_info >= (3, 12)")
    )
    code, output = fleet.play("upgrade.yml", swf_testbed_release_version=version)
    assert code != 0
    reports(
        output,
        "processing-agent is",
        "exit status 7",
        "The end of the log of processing-agent:",
        "the cause is here",
        "The release %s %s" % (before["agents-2"], RUNS_AGAIN),
        "agents-2 failed, and this host rolls back with its batch.",
        "This host was rolled back. Evidence: agents-2 failed, of the same batch.",
    )
    after = current(fleet)
    assert {after[lab.services], after["agents-1"]} == {after[lab.services]} and after[
        "agents-1"
    ].startswith(version + "-")
    assert (after["agents-2"], after["agents-3"]) == (before["agents-2"], before["agents-3"])
    serves(after)
    nothing_lost()


@pytest.mark.parametrize(
    "where, setting, cause",
    [
        # a file system that is not mounted there: systemd does not even start supervisord
        (
            "lab-services",
            {"swf_testbed_systemd_read_write_paths": ["/mnt/not-mounted"]},
            "/mnt/not-mounted: No such file or directory",
        ),
        # supervisord ends as soon as it is started
        (
            "agents-1",
            {"swf_testbed_systemd_limit_nofile": 512},
            "minimum number of file descriptors",
        ),
    ],
)
def test_a_unit_that_does_not_work(fleet, lab, serves, nothing_lost, where, setting, cause):
    """An upgrade with a setting of the unit with which its service cannot work: the rollback
    restores and applies the previous unit."""
    before = fleet.states()
    version = fleet.another_version()
    # without the check of the inventory, which refuses such a limit of open files before any host
    # is contacted
    code, output = fleet.play(
        "upgrade.yml",
        "--limit",
        "%s,agents" % where,
        "--skip-tags",
        "always",
        swf_testbed_release_version=version,
        **setting,
    )
    assert code != 0
    verdict = IS_HEALTHY_AGAIN if where == "lab-services" else RUNS_AGAIN
    reports(output, cause, "The release %s %s" % (before[where]["current"], verdict))
    # the first host that has it is where it ends
    after = fleet.states()
    assert {
        name: (state["current"], state["unit"], state["loaded"]) for name, state in after.items()
    } == {
        name: (state["current"], state["unit"], state["loaded"]) for name, state in before.items()
    }
    assert after[where]["loaded"]["NeedDaemonReload"] == "no"
    serves({name: state["current"] for name, state in before.items()})
    nothing_lost()
