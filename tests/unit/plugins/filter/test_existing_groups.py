# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory without our groups is an error that names them."""

from __future__ import annotations

import pytest
import yaml
from ansible import context
from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.filter.existing_groups import existing_groups


def test_a_pattern_with_a_host_stays():
    groups = {"all": ["a"], "ungrouped": [], "testbed": ["a"], "index": []}
    assert existing_groups(groups, "index:testbed", ["a", "b"]) == "index:testbed"


def test_a_play_at_the_end_of_a_playbook_has_no_host_in_an_inventory_of_services():
    groups = {"all": ["a"], "database": ["a"]}
    assert existing_groups(groups, "index:testbed", ["a"], "database:redis") == "all:!all"
    with pytest.raises(AnsibleFilterError):
        existing_groups({"all": ["a"], "web": ["a"]}, "index:testbed", ["a"], "database:redis")


@pytest.mark.parametrize(
    ("groups", "named"),
    [
        ({"all": [], "ungrouped": []}, "none"),
        ({"all": ["a"], "ungrouped": ["a"], "testbed": []}, "ungrouped"),
        ({"all": ["a", "b"], "ungrouped": [], "web": ["a"], "db": ["b"]}, "db, web"),
    ],
)
def test_no_host_is_an_error_that_names_the_groups(groups, named):
    with pytest.raises(AnsibleFilterError) as raised:
        existing_groups(groups, "index:testbed", ["a", "b"])
    text = str(raised.value)
    assert "one of the groups index, testbed" in text and "--limit, are: %s." % named in text


def test_a_host_outside_of_the_limit_does_not_count():
    groups = {"all": ["a", "b"], "testbed": ["a"], "web": ["b"]}
    with pytest.raises(AnsibleFilterError, match="are: web"):
        existing_groups(groups, "testbed", ["b"])


def test_a_check_of_the_syntax_needs_no_inventory(monkeypatch):
    monkeypatch.setattr(context, "CLIARGS", {"syntax": True})
    assert existing_groups({"all": []}, "index:testbed", []) == "all:!all"


@pytest.mark.parametrize(
    ("pattern", "there"),
    [
        ("testbed:!agents", "testbed"),
        ("index:broker:testbed", "index:testbed"),
        ("agents", "all:!all"),
        ("broker:!testbed", "all:!all"),
        ("testbed:!index", "testbed:!index"),
    ],
)
def test_a_group_that_does_not_exist_is_left_out(pattern, there):
    assert existing_groups({"all": ["a"], "testbed": ["a"], "index": []}, pattern) == there


def test_the_first_play_of_each_playbook_asks_for_its_groups(root):
    """settle.yml and place_logins.yml are parts of others; publish.yml works on the controller."""
    for path in (root / "playbooks").glob("*.yml"):
        if path.stem not in ("settle", "place_logins", "publish"):
            plays = yaml.safe_load(path.read_text())
            assert "existing_groups" in plays[0]["hosts"], path.name
            assert "ansible_play_hosts_all" in plays[0]["hosts"], path.name


def test_every_play_leaves_out_groups_that_do_not_exist(root):
    for path in (root / "playbooks").glob("*.yml"):
        for item in yaml.safe_load(path.read_text()):
            hosts = item.get("hosts", "localhost")
            left_out = "existing_groups(" in hosts or "differing_hosts', '" in hosts
            assert left_out or hosts == "localhost", path.name
