# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook works with --limit: hosts that are left out are not contacted, and nothing of them
is needed."""

from __future__ import annotations

import pytest

from helpers.fleet_of_this_machine import ROOT, Fleet

# what ansible-core says of templates that need what is not there
BROKEN = (
    "is undefined",
    "has no attribute",
    "AnsibleUndefined",
    "not found in hostvars",
    "UNREACHABLE",
    "Unexpected",
    "Traceback",
    "template error",
    "Error while resolving",
)


@pytest.fixture(name="fleet", scope="module")
def a_fleet_with_unreachable_hosts():
    fleet = Fleet()
    fleet.inventory(
        testbed={
            "one": fleet.here("one", "broker", "monitor", "monitor-listener"),
            "three": fleet.gone("mcp-agent"),
        },
        agents={"two": fleet.here("two", "data-agent"), "four": fleet.gone("fastmon-agent")},
        index={"one": {}},
        database={"three": {}},
        broker={"three": {}},
        monitor={"three": {}},
    )
    yield fleet
    fleet.close()


SOME = "all:!three:!four"
PLAYBOOKS = [
    "site",
    "upgrade",
    "rollback",
    "start",
    "stop",
    "status",
    "doctor",
    "uninstall",
    "wheelhouse",
]
# these say of a host without an installation that there is something to do
REFUSED = {
    "rollback": "has no previous release",
    "doctor": "nothing listens at the address of the index",
}


# the second one has agents alone: with it, all the services are left out
@pytest.mark.parametrize(
    "playbook, limit",
    [
        pytest.param(
            name,
            limit,
            # of the two limits one; test_missing_hosts.py has site, and scenarios have the others
            marks=[pytest.mark.nightly] * (limit == SOME or name not in ("start", "status")),
        )
        for name in PLAYBOOKS
        for limit in (SOME, "two")
    ],
)
def test_every_playbook_works_with_a_limit(fleet, playbook, limit):
    code, output = fleet.play(playbook, "--check", "--limit", limit)
    assert [text for text in BROKEN if text in output] == [], output
    assert (code != 0) == (playbook in REFUSED) and REFUSED.get(playbook, "") in output, output
    recap = output.partition("PLAY RECAP")[2]
    assert "failed=" in recap and "three" not in recap and "four" not in recap, output


def test_the_list_of_playbooks_is_whole():
    """settle.yml and place_logins.yml are parts of others. The ones left out with them work on the
    controller alone, or for all hosts that have logins."""
    others = {"settle", "publish", "export_secrets", "import_secrets"}
    others |= {"place_logins", "issue_credentials", "revoke_credentials"}
    assert {path.stem for path in (ROOT / "playbooks").glob("*.yml")} - others == set(PLAYBOOKS)


def test_a_controller_without_the_secrets_of_the_hosts_that_are_left_out_is_told_so(fleet):
    authority = "%s/home/.local/share/swf-testbed-controller/ca/ca.pem" % fleet.folder
    code, output = fleet.play("site", "--limit", "two", "-e", "swf_testbed_ca_cert=" + authority)
    assert code != 0 and "4 problems" in output, output
    for name, host in (
        ("index_token", "one"),
        ("broker_password", "three"),
        ("api_token", "one, three"),
    ):
        assert (
            "swf_testbed_%s is not on this controller" % name in output
            and "Evidence: %s, which" % host in output
        ), output
    assert (
        "swf_testbed_ca_cert is not on this controller" in output
        and "%s does not exist, and three" % authority in output
    ), output
    assert "Fix: run without --limit" in output and "cannot read" not in output, output
    assert not (fleet.folder / "home/.local/share/swf-testbed-controller").exists()
