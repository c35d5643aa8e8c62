# SPDX-License-Identifier: GPL-3.0-or-later
"""broker_addresses: the declarations of the stack and of the inventory in one form."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.bnlnpps.swf_testbed.plugins.filter.broker_addresses import (
    broker_addresses,
)


def test_prefixes_set_the_routing_and_the_last_declaration_applies():
    found = broker_addresses(
        [
            {"name": "epictopic", "routing": "multicast"},
            {"name": "epicqueue", "routing": "anycast"},
            {"name": "/queue/panda.transformer.slices", "divert_to": ["/topic/panda.slices"]},
            {"name": "/topic/panda.slices"},
            {"name": "/queue/epicqueue", "max_mb": 5, "when_full": "fail"},
        ]
    )
    assert found == [
        {"name": "epictopic", "routing": "multicast", "divert_to": []},
        {
            "name": "epicqueue",
            "routing": "anycast",
            "divert_to": [],
            "max_mb": 5,
            "when_full": "fail",
        },
        {
            "name": "panda.transformer.slices",
            "routing": "anycast",
            "divert_to": ["panda.slices"],
        },
        {"name": "panda.slices", "routing": "multicast", "divert_to": []},
    ]
    assert broker_addresses(found) == found


@pytest.mark.parametrize(
    "declared, expected",
    [
        ([{"name": "x"}], "neither a routing type nor a prefix"),
        ([{"name": "/queue/x", "routing": "multicast"}], "anycast by its name and multicast"),
        ([{"name": "a b", "routing": "anycast"}], "not a valid name"),
        ([{"name": "a.#", "routing": "anycast"}], "not a valid name"),
        ([{"name": "/queue/", "routing": "anycast"}], "not a valid name"),
        ([{"name": "DLQ", "routing": "anycast"}], "one of the broker itself"),
        ([{"name": "/topic/swf-broker.replies"}], "one of the broker itself"),
        ([{"name": "/queue/x", "divert_to": ["y"]}], "is diverted to y, which is not"),
        ([{"name": "/queue/x", "divert_to": ["x"]}], "is diverted to x, which is not another"),
    ],
)
def test_contradictions_are_refused(declared, expected):
    with pytest.raises(AnsibleFilterError, match=expected):
        broker_addresses(declared)
