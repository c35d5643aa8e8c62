# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook works with --limit: hosts that are left out are not contacted, and nothing of them is needed."""

from __future__ import annotations

import pytest
from fleet_of_this_machine import Fleet

# what ansible-core says of templates that need what is not there
BROKEN = ("is undefined", "has no attribute", "AnsibleUndefined", "not found in hostvars", "UNREACHABLE", "Unexpected", "Traceback",
          "template error", "Error while resolving")


@pytest.fixture(name="fleet", scope="module")
def a_fleet_of_which_most_hosts_are_away():
    fleet = Fleet()
    fleet.inventory(
        testbed={"one": fleet.here("one", "broker", "monitor", "monitor-listener"), "three": fleet.gone("mcp-agent")},
        agents={"two": fleet.here("two", "data-agent"), "four": fleet.gone("fastmon-agent")},
        index={"one": {}}, database={"three": {}}, broker={"three": {}}, monitor={"three": {}})
    yield fleet
    fleet.close()


#: what a host without an installation answers; {} where that is no failure
REFUSED = {
    "rollback": "no release",
    "start": "There is no supervisord configuration",
    "doctor": "fatal",
    "wheelhouse": "install_wheelhouse",
    "publish": "publish",
}


# "two" has agents alone: with it, all the services are left out
@pytest.mark.parametrize("limit", ["one", "two", "all:!three:!four"])
@pytest.mark.parametrize("playbook", ["site", "upgrade", "rollback", "start", "stop", "status", "doctor", "uninstall", "wheelhouse"])
def test_every_playbook_works_with_a_limit(fleet, playbook, limit):
    code, output = fleet.play(playbook, "--check", "--limit", limit)
    assert [text for text in BROKEN if text in output] == [], output
    assert "three" not in output.partition("PLAY RECAP")[2] and "four" not in output.partition("PLAY RECAP")[2], output
    print(playbook, limit, code, output[-1500:])
