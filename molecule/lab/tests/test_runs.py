# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of site.yml that has nothing to do asks a host of agents few questions. Counted, not
timed."""

from __future__ import annotations

import re

# All roles run: podman's connection takes no standard input, which the question for the state of a host
# needs. tests/unit/playbooks/test_host_state.py counts the calls with it.
MOST_TASKS = 10


def test_a_run_without_changes_is_cheap_for_a_host_of_agents(lab):
    done = lab.play("site.yml", "--limit", "agents")
    assert done.returncode == 0, done.stdout
    counted = {
        name: (int(ok), int(changed))
        for name, ok, changed in re.findall(
            r"^(\S+) +: ok=(\d+) +changed=(\d+)", done.stdout, re.MULTILINE
        )
    }
    # the check of the inventory and the table at the end are of the controller, and counted for the
    # first host
    expected = {name: (MOST_TASKS + 2 * (name == lab.agents[0]), 0) for name in lab.agents}
    assert set(counted) == set(expected)
    assert all(counted[name] <= expected[name] for name in expected), done.stdout
